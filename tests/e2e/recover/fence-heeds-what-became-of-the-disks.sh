#!/bin/bash
# A person's word that the destination is gone has a held guest back only over the disks that it left, in any later life; and it has it back, too,
# from a destination that answers, and whose QEMU has ended.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 16M
MEM=64 WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=8 disk_rate=40" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)

# The guest was shut down there, and the agent there answers.
moved_for_now listener
qmp "$TO/a.mon" '{"execute": "quit"}' >/dev/null
wait_for 60 process_is_gone "$there"
vmferry revert --no-wait a
move_wait 6
assert_result '"shut down there" in r["reason"]'
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
vmferry recover a --peer-is-fenced --dest "$DST_ADDRESS" >"$DIR/recover.log" 2>&1 || true
process_is_gone "${GUEST_PID[a]}" && fail "the source QEMU was ended: $(<"$DIR/recover.log")"
wait_for 60 runs_here || fail "the guest is not had back: $(<"$DIR/recover.log")"
guest_verify "$(orders a)" blocks
end_agents_there
DST_PID=
rm -rf "$DIR/dst-state" "$DIR/dst-run" "$DIR"/state/*

# The disk got another mode, which looks as if the time of its last write had been set back: a person vouches for it, and the guest's memory is not lost.
moved_for_now listener
kill_now "$MOVE_PID"
kill_now "$there"
end_agents_there
DST_PID=
chmod 606 "$DIR/a.raw"
status=0
vmferry recover a --peer-is-fenced 2>"$DIR/recover.log" || status=$?
assert_eq "$status" 6 "exit code over a disk with another mode"
said recover.log 'was changed here since .*--peer-is-fenced --not-started-here'
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
vmferry recover a --peer-is-fenced --not-started-here >"$DIR/recover.log" 2>&1 || true
wait_for 60 runs_here || fail "the guest is not had back: $(<"$DIR/recover.log")"
guest_verify "$(orders a)" blocks
rm -rf "$DIR/dst-state" "$DIR/dst-run" "$DIR"/state/*

# The disk has another name; and was written to, when it has its own again.
moved_for_now listener
kill_now "$MOVE_PID"
kill_now "$there"
end_agents_there
DST_PID=
mv "$DIR/a.raw" "$DIR/x.raw"
status=0
vmferry recover a --peer-is-fenced 2>"$DIR/recover.log" || status=$?
assert_eq "$status" 6 "exit code while its disk has another name"
said recover.log 'has the name of its disk'
dd if=/dev/zero of="$DIR/x.raw" bs=1M seek=12 count=1 conv=notrunc status=none
mv "$DIR/x.raw" "$DIR/a.raw"
for option in '' --peer-is-fenced; do
	status=0
	vmferry recover a $option 2>"$DIR/recover.log" || status=$?
	assert_eq "$status" 6 "exit code of recover $option over a disk that was written to"
	assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held after recover $option"
done
said recover.log 'has been written here'
