#!/bin/bash
# `vmferry list` with real guests: an ordinary one, one without QMP, one whose monitor is occupied, one with a device that no QEMU migrates,
# one that began with -readconfig, two that look like libvirt's and Proxmox's, and one that an agent brings here. It changes nothing.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"

launch() { # NAME [QEMU OPTION...]: no guest in it: it need not boot
	local name=$1
	shift
	"$QEMU" -accel tcg -m 64 -display none -nodefaults -name "$name" "$@" </dev/null >"$DIR/$name.stderr" 2>&1 &
	guest_adopt "$name" $!
}

monitor_of() { # NAME: prints QEMU options
	echo "-qmp unix:$DIR/$1.qmp,server=on,wait=off"
}

list() { # [OPTION...]: only ours, as other tests may be running
	vmferry list "$@" "${GUEST_PID[@]}"
}

listed() { # PYTHON EXPRESSION over g, the guests by name
	python3 -S -c 'import json, sys; g = {x["name"]: x for x in json.load(open(sys.argv[1]))["guests"]}
if not eval(sys.argv[2]): sys.exit(json.dumps(g, indent=1))' "$DIR/list.json" "$1" || fail "list: not $1"
}

guest_disk "$DIR/a.qcow2" qcow2 32M
guest_disk "$DIR/n.raw" raw 32M
cat >"$DIR/config.cfg" <<END
[machine]
  type = "q35"
[smp-opts]
  cpus = "2"
[drive "d0"]
  file = "$DIR/c.raw"
  format = "raw"
  if = "virtio"
[chardev "m"]
  backend = "socket"
  path = "$DIR/config.qmp"
  server = "on"
  wait = "off"
[mon "q"]
  mode = "control"
  chardev = "m"
END
guest_disk "$DIR/c.raw" raw 16M
launch plain -M q35 -smp 2 $(monitor_of plain) $(guest_drive d0 "$DIR/a.qcow2" qcow2)
launch mute -M q35 -smp cores=2,threads=2 -m 96 -monitor "unix:$DIR/mute.hmp,server=on,wait=off" $(guest_drive d0 "$DIR/n.raw" raw)
launch busy -M q35 $(monitor_of busy)
launch usb -M q35 $(monitor_of usb) -device qemu-xhci -chardev null,id=c0 -device usb-serial,chardev=c0
launch "win 10" $(monitor_of win)
launch config -readconfig "$DIR/config.cfg"
mkdir -p "$DIR/libvirt/qemu/lib/domain-1" "$DIR/run/qemu-server"
launch virt -M q35 $(monitor_of virt) -D "$DIR/libvirt/qemu/lib/domain-1/log"
launch pve -M q35 $(monitor_of pve) -pidfile "$DIR/run/qemu-server/100.pid"
# an agent refuses the guest of a QEMU whose monitor somebody else has: that waits for the first who comes, before it makes the second one
mkdir "$DIR/0123456789ab"
cp /bin/bash "$DIR/vmferry-dst"
"$DIR/vmferry-dst" -c '"$@" & echo $! >"$0"; wait' "$DIR/arriving.pid" "$QEMU" -accel tcg -m 64 -display none -nodefaults -name arriving \
	-qmp "unix:$DIR/0123456789ab/vmferry.qmp,server=on,wait=on" -monitor "unix:$DIR/arriving.hmp,server=on,wait=off" \
	</dev/null >"$DIR/arriving.stderr" 2>&1 &
kill_at_exit $!
wait_for 60 test -S "$DIR/0123456789ab/vmferry.qmp" || fail "the one that arrives does not start: $(tail -n 1 "$DIR/arriving.stderr")"
guest_adopt arriving "$(<"$DIR/arriving.pid")"
for name in plain busy usb config win virt pve; do
	wait_for 60 monitor_answers "$DIR/$name.qmp" || fail "$name does not start: $(tail -n 1 "$DIR/$name.stderr")"
done
wait_for 60 test -S "$DIR/mute.hmp" || fail "mute does not start"

# somebody sits on the monitor: greeted, silent, until the test ends
python3 -S -c 'import signal, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.recv(1)
open(sys.argv[2], "w").close()
signal.pause()' "$DIR/busy.qmp" "$DIR/sitting" &
kill_at_exit $!
wait_for 60 test -e "$DIR/sitting" || fail "nobody sits on the monitor"

list --json >"$DIR/list.json"

listed 'len(g) == 9'
listed 'not g["arriving"]["movable"] and "the guest is arriving" in g["arriving"]["reasons"][0]["text"]'
[[ ! -S $DIR/arriving.hmp ]] || fail "somebody was at the monitor of a QEMU whose guest arrives"
listed 'g["plain"]["movable"] and g["plain"]["reasons"] == []'
listed 'g["plain"]["vcpus"] == 2 and g["plain"]["ram_bytes"] == 64 << 20 and g["plain"]["accel"] == "tcg"'
listed 'g["plain"]["machine"].startswith("pc-q35-") and g["plain"]["qemu_version"][0].isdigit()'
listed '[d["path"] for d in g["plain"]["disks"]] == ["'"$DIR"'/a.qcow2"] and g["plain"]["disks"][0]["virtual_size"] == 32 << 20'
listed 'g["plain"]["owner"] in ("plain", "systemd") and g["plain"]["status"] == "running"'
case $("$QEMU" --version) in
*' version 11.'*) listed 'g["mute"]["movable"] and g["mute"]["monitor"] == "hmp"' ;; # its HMP can make it another monitor
*)
	listed 'not g["mute"]["movable"] and g["mute"]["monitor"] == "none"'
	listed '"-qmp unix:/run/mute.qmp,server=on,wait=off" in g["mute"]["reasons"][0]["advice"]'
	;;
esac
listed 'g["mute"]["vcpus"] == 4 and g["mute"]["ram_bytes"] == 96 << 20'
listed '[d["path"] for d in g["mute"]["disks"]] == ["'"$DIR"'/n.raw"]'
listed 'not g["busy"]["movable"] and g["busy"]["monitor"] == "busy" and "occupied" in g["busy"]["reasons"][0]["text"]'
listed 'not g["usb"]["movable"] and any("usb-serial" in r["text"] for r in g["usb"]["reasons"])'
listed 'g["config"]["movable"] and g["config"]["vcpus"] == 2 and g["config"]["qmp"] == "'"$DIR"'/config.qmp"'
listed 'g["virt"]["owner"] == "libvirt" and "virsh migrate --live" in g["virt"]["reasons"][0]["advice"]'
listed 'g["pve"]["owner"] == "proxmox" and "qm remote-migrate" in g["pve"]["reasons"][0]["advice"]'
listed 'not g["virt"]["movable"] and not g["pve"]["movable"]'

list >"$DIR/list.txt"
cat "$DIR/list.txt"
grep -q "vmferry migrate plain HOST" "$DIR/list.txt" || fail "the text does not say how to move it"
grep -qF "vmferry migrate 'win 10' HOST" "$DIR/list.txt" || fail "a name of two words is not one in the command that moves it"
status=0
vmferry list no-such-guest-here 2>"$DIR/stderr" || status=$?
assert_eq "$status" 1 "exit code for a guest that is not there"
grep -q "no guest no-such-guest-here runs here; .*guests here: .*plain (pid " "$DIR/stderr" || fail "$(cat "$DIR/stderr")"
status=0
vmferry list plain no-such-guest-here >"$DIR/one.txt" 2>/dev/null || status=$?
assert_eq "$status" 1 "exit code if one of two is not there"
grep -q "vmferry migrate plain HOST" "$DIR/one.txt" || fail "the guest that is there is not shown"
status=0
vmferry check Plian local --disk-dir "$DIR" 2>"$DIR/stderr" || status=$?
assert_eq "$status" 3 "exit code for a guest whose name is mistyped"
grep -qF "no guest Plian runs on this host; did you mean plain?" "$DIR/stderr" || fail "$(cat "$DIR/stderr")"

# That there is no such guest comes before what its move would need.
status=0
vmferry check no-such-guest-here local 2>"$DIR/stderr" || status=$?
assert_eq "$status" 3 "exit code of a check of a guest that is not there"
grep -q "no guest no-such-guest-here runs" "$DIR/stderr" || fail "$(cat "$DIR/stderr")"
status=0
vmferry check plain local 2>"$DIR/stderr" || status=$?
assert_eq "$status" 2 "exit code of a check without a place for the disks"
# the listing has let go of the monitors
qmp "$DIR/plain.qmp" '{"execute": "query-status"}' | grep -q running || fail "the monitor does not answer afterwards"
qmp "$DIR/0123456789ab/vmferry.qmp" '{"execute": "query-status"}' >/dev/null
wait_for 60 test -S "$DIR/arriving.hmp" || fail "a QEMU that waits for the first at its monitor goes on without one"

# a stopped QEMU, as a move leaves it until that is settled, is not asked: it would carry out the questions later
kill -STOP "${GUEST_PID[plain]}"
wait_for 60 grep -q '^State:.*(stopped)' "/proc/${GUEST_PID[plain]}/status"
list --json >"$DIR/list.json"
kill -CONT "${GUEST_PID[plain]}"
listed 'not g["plain"]["movable"] and g["plain"]["monitor"] == "silent" and "is stopped (SIGSTOP)" in g["plain"]["reasons"][0]["text"]'
