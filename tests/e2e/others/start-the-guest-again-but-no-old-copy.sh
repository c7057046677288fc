#!/bin/bash
# timeout: 400
# A script of somebody's runs the guest's QEMU again and again, in no unit. The plan names it. The guest's disks here get other names before that QEMU
# ends, however the guest is moved, and however long the script waits between two starts: no old copy boots from them. A move that is rolled back, and
# `vmferry revert`, give the names back. Where no name can be given the move is refused, but for --starter-stopped. Another user who
# calls something QEMU and reads that disk has started nothing.
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/starter.sh"

was_tried_again() { # the script has run the guest's QEMU once more, and that has ended
	[[ $(wc -l <"$DIR/loop.pids") -ge 3 ]]
}

assert_has_gone() { # the old copy starts from nowhere
	[[ ! -e $DIR/a.raw ]] || fail "the old disk has its name"
	assert_result "any('process $LOOP (' in x and 'does not start the guest here again' in x for x in plan['afterwards'])"
	assert_result "r['set_aside']['from'] == '$DIR/a.raw' and r['set_aside']['to'] == r['deletable'][0]['path']"
	[[ -s $(result 'r["set_aside"]["to"]') ]] || fail "the old disk is gone"
	! started_by_hand || fail "the old copy has started"
	guest_verify "$(orders a)" blocks
	assert_nothing_unfinished
}

for how in live quick; do
	loop_start 1
	move a local --how "$how"
	wait_for 60 was_tried_again || fail "the script has not tried again: this test tests nothing"
	assert_has_gone
	loop_end
done

loop_start 30
move a local --how warm --force --shutdown-timeout 1
assert_has_gone
loop_end

# shut down, while the script waits to start it again, whatever it was named by
shut_down_for_long() {
	loop_start 300
	kill_now "${GUEST_PID[a]}"
	wait_for 60 eval '[[ -z $(find /proc/[0-9]*/fd -lname "$DIR/a.raw" 2>/dev/null) ]]' || fail "the disk is in use"
}
shut_down_for_long
MOVES=$((MOVES + 1)) TO=$DIR/d$MOVES
mkdir "$TO"
"$BIN/vmferry" migrate local --how cold --disk-dir "$TO" --json -- "${LOOPED[@]}" >"$DIR/move.json" 2>"$DIR/move.log" || fail "$(tail -n 3 "$DIR/move.log")"
[[ ! -e $DIR/a.raw ]] || fail "the old disk has its name"
assert_result "any('process $LOOP (' in x for x in plan['afterwards']) and r['set_aside']['from'] == '$DIR/a.raw'"
! started_by_hand || fail "the old copy has started"
end_process "$LOOP"

# the agent dies as the guest is given up, and with it its guard and the lock on the disk here
shut_down_for_long
to_listener
MOVES=$((MOVES + 1)) TO=$DIR/d$MOVES
mkdir "$TO"
fault after-SRC_COMMITTED stop
"$BIN/vmferry" migrate "$DEST" --how cold --disk-dir "$TO" --json -- "${LOOPED[@]}" >"$DIR/move.json" 2>"$DIR/move.log" &
MOVE_PID=$!
kill_at_exit "$MOVE_PID"
fault_wait
kill_agent_here
! started_by_hand || fail "the old copy has started"
recover 0
end_process "$LOOP"
to_local

# an agent that dies as the guest is given up: its guard sees to the names, before anybody recovers the move
to_listener
loop_start 1
move_until there after-SRC_COMMITTED
guard_ends
[[ ! -e $DIR/a.raw ]] || fail "the disk of a guest that was given up has its name, and nobody looks after it"
kill_now "${GUEST_PID[a]}"
wait_for 60 was_tried_again || fail "the script has not tried again: this test tests nothing"
recover 0
guest_is_there
guest_verify "$(orders a)" blocks
loop_end
to_local

# The guest is had back with its disk under its name, which QEMU opens once more, and which may be a link's.
is_had_back() { # FILE of its disk
	loop_start 1
	move_start a local --revert-within 5m
	wait_event 'ev["event"] == "notice" and "vmferry revert" in ev["text"]' >/dev/null
	wait_for 60 eval '[[ ! -e $DIR/a.raw ]]' || fail "the disk of the guest that runs elsewhere has its name"
	"$BIN/vmferry" revert --no-wait a >/dev/null || fail "vmferry revert is refused"
	move_wait 1
	[[ -e $DIR/$1 && -z $(compgen -G "$DIR/*.moved-*") ]] || fail "the disk has not its name: $(ls "$DIR")"
	guest_verify "$(orders a)" blocks
}
is_had_back a.raw
loop_end
mv "$DIR/a.raw" "$DIR/linked.raw"
ln -s linked.raw "$DIR/a.raw"
is_had_back linked.raw
loop_end
rm "$DIR/a.raw"
loop_start 1

# refused: in place, and a disk that cannot have another name
refused() { # OPTION...
	move_start a local "$@"
	move_wait 3
	assert_result "'process $LOOP (' in r['reason'] and '--starter-stopped' in r['reason']"
	assert_eq "$(status_of "$DIR/a.qmp")" running "QEMU's run state"
}
refused --in-place
refused --disk d0=shared
move a local --starter-stopped
[[ -e $DIR/a.raw ]] || fail "the disk has another name, though its starter was said to be stopped"
loop_end

# A person who vouches wrongly, while the guest is started again all the same, is told: it runs twice.
has_been_started_again() {
	[[ $(wc -l <"$DIR/loop.pids") -ge 2 ]] && [[ -n $(find "/proc/$(tail -n 1 "$DIR/loop.pids")/fd" -lname "$DIR/a.raw" 2>/dev/null) ]]
}
loop_start 0
move_until local after-SRC_RELEASED:stop --starter-stopped
wait_for 60 has_been_started_again || fail "the script has not started it again: this test tests nothing"
fault_continue
move_wait 6
assert_result "r['where'] == 'undecided' and 'QEMU $(tail -n 1 "$DIR/loop.pids") has its old disks open here' in r['reason'] and 'deletable' not in r"
kill_at_exit "$(tail -n 1 "$DIR/loop.pids")"
kill_at_exit "$(result 'r["destination_pid"]')"
end_process "$LOOP"
if loop=$(losetup -f --show "$DIR/a.raw" 2>/dev/null); then
	at_exit "losetup -d $loop"
	LOOP_DISK=$loop
	loop_start 1
	refused
	loop_end
else
	echo "skipped: a disk on a block device, as no loop device can be had"
fi
if [[ $EUID -ne 0 ]]; then
	echo "skipped: only root can start a process as another user"
	exit
fi
chmod 711 "$DIR"
cp "$(readlink -f "$(command -v sleep)")" "$DIR/qemu-system-x86_64"
guest_a
chmod 644 "$DIR/a.raw"
setpriv --reuid=65534 --regid=65534 --clear-groups "$DIR/qemu-system-x86_64" 1000 <"$DIR/a.raw" &
kill_at_exit $!
wait_for 60 test "$DIR/qemu-system-x86_64" -ef "/proc/$!/exe"
move a local
assert_result "r['where'] == 'destination' and len(r['deletable']) == 1"
