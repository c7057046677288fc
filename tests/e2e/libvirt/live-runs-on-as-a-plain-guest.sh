#!/bin/bash
# A libvirt guest goes to a host without libvirt as it runs (--as plain), live and quick: memory and disks verified from inside, with all its devices in their places. It runs
# there as a plain guest, with a monitor by which it goes on to yet another directory; libvirt here has forgotten it, and its definition is kept.
# takes: 40
# tier: gate
# timeout: 300
export TINY=yes MACHINE=pc MEM=128 WITNESS="ram_mb=32 rate=1000 disks=vda disk_mb=8 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

export LIBVIRT_QEMU_USER=libvirt-qemu
libvirt_host a
libvirt_plain_host b
G=$LIBVIRT_GUESTS
at_a=$(libvirt_at a "$G") at_b=$(libvirt_at b "$G")
listen_at b
wiki=wiki-$$
mac=52:54:00:12:34:56

devices="<interface type='user'><mac address='$mac'/><model type='virtio'/></interface>
	<graphics type='vnc' port='-1' autoport='yes'/><video><model type='vga'/></video><sound model='ich9'/>
	<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng><watchdog model='i6300esb' action='reset'/>
	<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel><channel type='unix'><target type='virtio' name='other'/></channel>
	<serial type='pty'/><input type='tablet' bus='usb'/><disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
	<controller type='scsi' model='virtio-scsi'/><disk type='file' device='disk'><driver name='qemu' type='raw'/>
	<source file='$G/scsi.raw'/><target dev='sdb' bus='scsi'/></disk>"

"$QEMU_IMG" create -q -f qcow2 "$at_a/wiki.qcow2" 16M
head -c 8M /dev/urandom >"$at_a/data.raw"
head -c 4M /dev/urandom >"$at_a/scsi.raw"
LIBVIRT_DEVICES=$devices libvirt_define a $wiki "$G/wiki.qcow2:qcow2" "$G/data.raw:raw"
libvirt_in a virsh -q autostart $wiki >/dev/null
libvirt_run a $wiki

moves() { # STATUS OPTION...: from a to b
	libvirt_move a b $wiki "$1" "${@:2}"
}

# Without --as plain that host refuses it, and names the option.
moves 3
assert_result '"--as plain" in r["reason"] and r["guest"] == "source"'
vmferry_at a check $wiki "${ADDRESS_AT[b]}" --as plain --how quick >"$DIR/check" 2>&1 || fail "check refuses it: $(cat "$DIR/check")"
for words in 'as a plain guest: serial, which libvirt connects to a file here' '--install-unit has it started there' 'libvirt here does not define it any more'; do
	grep -q -- "$words" "$DIR/check" || fail "check does not say: $words: $(cat "$DIR/check")"
done
assert_eq "$(libvirt_in a virsh -q domstate $wiki)" running "the guest's state"

arrived() { # DIRECTORY
	guest_adopt $wiki "$(result 'r["destination_pid"]')"
	assert_result 'r["verified"] and "defined" not in r'
	GUEST_AT[$wiki]=$1
	guest_verify "$1/$wiki.serial2"
	assert_nothing_unfinished
}

forgotten() {
	assert_eq "$(defined_at a)" "" "guests of libvirt"
	grep -q "<name>$wiki</name>" "$(result 'r["definition_left"]')" || fail "nothing has its definition"
	assert_eq "$(find "$(libvirt_at a /run/libvirt)" "$(libvirt_at a /etc/libvirt)" -name '*vmferry*')" "" "left behind"
	[[ $(ps -o stat= -p "$was") == "" ]] || fail "its QEMU is here yet"
}

# --- live, with what was plugged in ------------------------------------------------------------------------

was=${GUEST_PID[$wiki]}
head -c 1M /dev/urandom >"$at_a/more.raw"
libvirt_in a virsh -q attach-disk $wiki "$G/more.raw" vdc --live --targetbus virtio --subdriver raw >/dev/null
moves 0 --as plain
arrived "$at_b"
forgotten
vmferry_at a recover $wiki >"$DIR/out" 2>&1 || fail "recover finds something where nothing is left: $(<"$DIR/out")" # by that name a QEMU runs, which is the other's
says "nothing to recover for $wiki" <"$DIR/out"
for image in data scsi more; do cmp "$at_a/$image.raw" "$at_b/$image.raw"; done
for socket in qmp vnc serial serial3 agent channel1; do [[ -S $at_b/$wiki.$socket ]] || fail "it has no socket $socket: $(ls "$at_b")"; done
grep -q 'more.raw' "$at_b/$wiki.sh" || fail "what was plugged in is not in its script"

# The guest is a plain one there: it moves on, with its monitor.
mkdir "$at_b/next"
! vmferry_at b migrate $wiki local --disk-dir "$G/next" --as plain >"$DIR/out" 2>&1 || fail "it becomes plain once more"
grep -q "is for a guest of libvirt's, and $wiki is none" "$DIR/out" || fail "it is refused otherwise: $(cat "$DIR/out")"
vmferry_at b migrate $wiki local --disk-dir "$G/next" --json >"$DIR/move.json" 2>"$DIR/move.log" || fail "it does not move on: $(tail -n 3 "$DIR/move.log")"
arrived "$at_b/next"
qmp "$at_b/next/$wiki.qmp" '{"execute": "quit"}' >/dev/null
wait_for 60 process_is_gone "${GUEST_PID[$wiki]}"
rm -rf "${at_b:?}"/*

# --- quick, to another directory, as QEMU's own stream -------------------------------------------------------

libvirt_in a virsh -q define "$DIR/state-a"/libvirt-*.xml >/dev/null
rm -f "$DIR"/state-a/libvirt-*.xml
libvirt_run a $wiki
was=${GUEST_PID[$wiki]}
moves 0 --as plain --how quick --disk-dir "$G/deep" --ram-mode opaque --channels 3
assert_result 'r["ram"]["mode"] == "opaque"'
arrived "$at_b/deep"
forgotten
