#!/bin/bash
# --how quick: the guest is stopped, goes over once, and goes on there. Rolled back, cut off, or resumed by somebody it goes on here, unless it
# was paused before.
# takes: 30
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

quick() { # OPTION...
	to_local
	move_start a local --how quick "$@"
}

stands() { # the guest is stopped, and its memory or its disk on its way
	wait_event 'ev["event"] == "notice" and "is stopped now" in ev["text"]' >/dev/null
	wait_event 'ev["event"] == "progress"' >/dev/null
	assert_eq "$(status_of "$(free_monitor a)")" paused "QEMU's run state"
}

guest_a

# Cancelled.
quick "${SLOW_DISKS[@]}"
stands
kill -TERM "$MOVE_PID"
move_wait 1
assert_result '"running on the source" in r["guest_text"]'
assert_at_source

# A destination whose disk hangs, though TCP is alive, stops no guest for ever.
export VMFERRY_FAULT=src-patience-is-short:fail
quick "${SLOW_RAM[@]}"
unset VMFERRY_FAULT
stands
while_ram
hangs=$(agent_dst | head -n 1)
kill -STOP "$hangs"
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
wait_for 60 runs_here || fail "the guest stands still for ever"
kill -CONT "$hangs"
move_wait 1
assert_result '"the destination takes nothing more" in r["reason"]'
assert_at_source

# Somebody wants it to go on: it does, and the move ends.
quick "${SLOW_RAM[@]}"
stands
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
move_wait 1
assert_result '"resumed at the source by another client" in r["reason"]'
assert_at_source

# The agent dies around its `stop`, and while all goes over: its guard lets the guest go on.
for point in $(some_of src-stop-noted src-stopped src-migrate src-pre-switchover); do
	move_until local $point --how quick
	wait_for 60 runs_here || fail "$point: the guest stands still"
	guard_ends
	wait_for 60 process_is_gone "$MOVE_PID"
	qmp "$(free_monitor a)" '{"execute": "stop"}' >/dev/null # a person's, who does not want it undone
	recover 5
	assert_eq "$(status_of "$(free_monitor a)")" paused "QEMU's run state after $point"
	qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
	assert_at_source
done

# To its end.
before=$(tiny_written a)
quick --json=fine
move_wait
assert_moved
assert_result 'r["how"] == "quick" and r["verified"]'
assert_result '(at := [e["event"] == "notice" and "is stopped now" in e["text"] for e in events].index(True)) < [e["event"] for e in events].index("progress")' "it is stopped before anything travels"
assert_result 'r["disks"][0]["rounds"] == 1' "rounds of its disk"
after=$(tiny_written a)
[[ ${after% *} -ge ${before% *} ]] || fail "it has not gone on where it was: $before, $after"

# A guest that was paused stays paused.
qmp "$(free_monitor a)" '{"execute": "stop"}' >/dev/null
quick
move_wait
assert_eq "$(status_of "$(free_monitor a)")" paused "QEMU's run state"

# A guest that another client stops in the moment before the move does stays stopped, too.
qmp "$(free_monitor a)" '{"execute": "cont"}' RESUME >/dev/null
move_until local src-stop-noted:stop --how quick
qmp "$(free_monitor a)" '{"execute": "stop"}' STOP >/dev/null
fault_continue
move_wait
assert_eq "$(status_of "$(free_monitor a)")" paused "QEMU's run state of one that somebody has stopped"
