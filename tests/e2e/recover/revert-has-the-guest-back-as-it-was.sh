#!/bin/bash
# --revert-within: a guest that runs at the destination is had back as it was when it was handed over, from its memory and disks of then; or it
# stays there, as somebody says so, or the time is over.
# timeout: 400
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
status=0
mkdir "$DIR/none"
vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/none" --disk d0=shared --revert-within 1h 2>"$DIR/refused.log" || status=$?
assert_eq "$status" 3 "exit code with a disk that both hosts use"
said refused.log "both hosts use $DIR/a.raw"

to_listener

# Had back: what runs there is ended, and nothing of it stays.
moved_for_now there
assert_result 'any("for 3600 s" in line for line in plan["afterwards"])' "the plan"
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"
held=$(sha256sum <"$DIR/a.raw")
GUEST_AT[a]=$TO
wait_for 60 has_disk_ops a $(($(disk_ops a) + 20)) || fail "the guest does not run at the destination"
unset "GUEST_AT[a]"
! cmp -s "$DIR/a.raw" "$TO/a.raw" || fail "the guest writes nothing there"
[[ ! -e $TO/a.sh ]] || fail "it can be started there again already"
is_moving_with a 's["stage"] == "commit" and s["revert_until"] > '"$EPOCHSECONDS" || fail "status: $(vmferry status --json)"
vmferry cancel --no-wait a 2>"$DIR/cancel.log" && fail "cancel has not been refused"
said cancel.log 'too late.*vmferry revert'
vmferry switch --no-wait a 2>"$DIR/switch.log" && fail "switch has not been refused"
said switch.log 'too late: the guest has been switched over'
vmferry set a bwlimit=1M 2>"$DIR/set.log" && fail "set has not been refused"
said set.log 'too late: the guest has been switched over'
vmferry status a | grep -q 'runs at .*, and can be had back until [0-9].*: vmferry revert' || fail "status: $(vmferry status a)"
kill_at_exit "$there"
assert_eq "$(sha256sum <"$DIR/a.raw")" "$held" "the source's disk"
status=0
vmferry revert a >"$DIR/revert.out" || status=$?
assert_eq "$status" 0 "exit code of revert"
said revert.out 'rolled-back: taken back as asked'
move_wait 1
process_is_gone "$there" || fail "the destination's QEMU was not ended"
assert_result '"taken back as asked" in r["reason"] and r["guest_text"] == "running on the source"'
assert_at_source
vmferry revert --no-wait a 2>"$DIR/revert.log" && fail "there is nothing to be had back any more"

# The QEMU there may have ended meanwhile.
moved_for_now there
kill_now "$there"
vmferry revert --no-wait a
move_wait 1
assert_at_source

# The guest stays there: the user says so, the terminal does, or nobody does in time.
to_local
moved_for_now there
vmferry keep --no-wait a
move_wait
assert_moved
moved_for_now there
kill -INT "$MOVE_PID"
move_wait
assert_moved "${MOVED_AT:-$DIR/d$((MOVES - 1))}/a.raw"
move_start a local --revert-within 1s
move_wait
assert_moved "$DIR/d$((MOVES - 1))/a.raw"
