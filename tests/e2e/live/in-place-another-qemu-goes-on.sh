#!/bin/bash
# A guest whose QEMU is upgraded while it runs: another process goes on with it, of the program that has the old one's name now, with the same disks
# (snapshots and all), sockets, log and pidfile; again, and then to another place as ever.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

# a QEMU of this test's own, which can be replaced
root=$TOP/build/qemu
[[ -e $root/usr/bin/qemu-system-x86_64 ]] || root= # the system's own
mkdir -p "$DIR/q/usr/bin" "$DIR/q/bin" "$DIR/sockets"
ln -s "$root/lib" "$DIR/q/lib"
ln -s "$root/usr/lib" "$root/usr/share" "$DIR/q/usr"
upgrade() {
	cp "$root/usr/bin/qemu-system-x86_64" "$DIR/q/new"
	mv -f "$DIR/q/new" "$DIR/q/usr/bin/qemu-system-x86_64"
}
upgrade
PROGRAM=$DIR/q/usr/bin/qemu-system-x86_64
QEMU_THERE= # the program of the same name
QEMU=$PROGRAM
if [[ -n $root ]]; then # with the script that says where its files are
	cp "$root/bin/qemu-system-x86_64" "$DIR/q/bin"
	QEMU=$DIR/q/bin/qemu-system-x86_64
fi

in_place() { # [OPTION...]
	local before=${GUEST_PID[a]} said inodes socket
	said=$(<"$DIR/a.console")
	inodes=$(stat -c %i "$DIR/a.raw" "$DIR/b.qcow2" "$DIR/a.console")
	move a local --in-place "$@"
	assert_result 'plan["in_place"] and [d["transfer"] for d in plan["disks"]] == ["shared", "shared"]' "the plan"
	assert_result 'r["disks"] == [] and r["deletable"] == [] and r["verified"] and "start_script" not in r' "the result"
	[[ ${GUEST_PID[a]} != "$before" ]] || fail "it is the same QEMU"
	assert_eq "$(readlink "/proc/${GUEST_PID[a]}/exe")" "$PROGRAM" "its program"
	assert_eq "$(<"$DIR/a.pid")" "${GUEST_PID[a]}" "the pidfile"
	assert_eq "$(find "$DIR" -name '*.vmferry-*' -o -name '*.sh' | grep -v '/run/\|/state/')" "" "what is left of the move"
	assert_eq "$(stat -c %i "$DIR/a.raw" "$DIR/b.qcow2" "$DIR/a.console")" "$inodes" "the files"
	[[ $(<"$DIR/a.console") == "$said"* ]] || fail "what the guest said before is lost: $(<"$DIR/a.console")"
	for socket in a.qmp a.mon a.orders sockets/agent sockets/vnc; do
		assert_eq "$(who_listens "$DIR/$socket")" "${GUEST_PID[a]}" "who listens at $socket"
	done
	assert_settled
}

"$QEMU_IMG" create -q -f qcow2 "$DIR/b.qcow2" 8M
"$QEMU_IMG" snapshot -c then "$DIR/b.qcow2"
"$QEMU_IMG" bitmap --add "$DIR/b.qcow2" since
guest_a $(guest_drive d1 "$DIR/b.qcow2" qcow2) -pidfile "$DIR/a.pid" -vnc "unix:$DIR/sockets/vnc" -device virtio-serial \
	-chardev "socket,id=agent,path=$DIR/sockets/agent,server=on,wait=off" -device virtserialport,chardev=agent
chmod 660 "$DIR/a.mon"
[[ $EUID -ne 0 ]] || chgrp 65534 "$DIR/a.mon"
rights=$(stat -c '%a %u:%g' "$DIR/a.mon")
upgrade
in_place
assert_eq "$(stat -c '%a %u:%g' "$DIR/a.mon")" "$rights" "who may use the monitor"
cp "$PROGRAM" "$DIR/q/usr/bin/qemu-system-other"
PROGRAM=$DIR/q/usr/bin/qemu-system-other
in_place --how quick --qemu "$PROGRAM"
guest_verify "$(orders a)" blocks

to_local
move a local --drop snapshots,bitmaps
assert_nothing_unfinished
guest_verify "$(orders a)" blocks
"$QEMU_IMG" snapshot -l "$DIR/b.qcow2" | grep -q then || fail "the snapshot is gone"
"$QEMU_IMG" info "$DIR/b.qcow2" | grep -q 'name: since' || fail "the bitmap is gone"
"$QEMU_IMG" check -q "$DIR/b.qcow2" || fail "the image is damaged"
