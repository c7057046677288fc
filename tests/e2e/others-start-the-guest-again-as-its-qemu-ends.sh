#!/bin/bash
# A script of somebody's runs the guest's QEMU again and again, in no unit. The plan names it. When the guest is the destination's, and its QEMU here
# was ended, the script starts it once more from its old disk: exit code 6 says so, and which process it is; no file is called deletable. Another user
# who calls something QEMU and reads that disk has started nothing.
. "$(dirname "$0")/../lib/aftermath.sh"

guest_disk "$DIR/a.raw" raw 16M
cat >"$DIR/loop" <<-'END'
	#!/bin/bash
	trap 'kill $!; exit' TERM
	while :; do
	    "$@" &
	    echo $! >>"$0.pids"
	    wait $!
	done
END
chmod +x "$DIR/loop"
NAME=${DIR##*/}-a
"$DIR/loop" "$QEMU" -accel tcg -machine q35 -m 64 -display none -nodefaults -no-user-config -name "$NAME" \
	-serial "file:$DIR/a.console" -serial "unix:$DIR/a.orders,server=on,wait=off" -qmp "unix:$DIR/a.qmp,server=on,wait=off" \
	-kernel "$TOP/build/guest/tiny.elf" -append "witness.ram_mb=8 witness.rate=100 witness.disks=vda witness.disk_mb=8 witness.disk_rate=20" \
	$(guest_drive d0 "$DIR/a.raw" raw) </dev/null >/dev/null 2>&1 &
LOOP=$!
kill_at_exit "$LOOP"
wait_for 60 grep -aqs '^witness ready' "$DIR/a.console" || fail "the guest does not come up"
has_been_started_again() {
	[[ $(wc -l <"$DIR/loop.pids") -ge 2 ]] && [[ -n $(find "/proc/$(tail -n 1 "$DIR/loop.pids")/fd" -lname "$DIR/a.raw" 2>/dev/null) ]]
}

guest_adopt a "$(head -n 1 "$DIR/loop.pids")"
fault after-SRC_RELEASED stop
move_start a local
fault_wait
wait_for 60 has_been_started_again || fail "the script has not started it again: this test tests nothing"
fault_continue
move_wait 6
assert_result "any('process $LOOP (' in x and 'does not start the guest here again' in x for x in plan['afterwards'])"
AGAIN=$(tail -n 1 "$DIR/loop.pids")
assert_result "r['where'] == 'undecided' and 'QEMU $AGAIN has its old disks open here' in r['reason'] and 'deletable' not in r"

if [[ $EUID -ne 0 ]]; then
	echo "skipped: only root can start a process as another user"
	exit
fi
kill "$LOOP" "$AGAIN"
chmod 711 "$DIR"
cp "$(readlink -f "$(command -v sleep)")" "$DIR/qemu-system-x86_64"
guest_a
chmod 644 "$DIR/a.raw"
setpriv --reuid=65534 --regid=65534 --clear-groups "$DIR/qemu-system-x86_64" 1000 <"$DIR/a.raw" &
kill_at_exit $!
wait_for 20 test "$DIR/qemu-system-x86_64" -ef "/proc/$!/exe"
move a local
assert_result "r['where'] == 'destination' and len(r['deletable']) == 1"
