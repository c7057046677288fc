#!/bin/bash
# All that is at the destination ends while a disk is copied, and an agent is started there again: the source rolls back, what had arrived
# is kept, and is said to be. Then somebody writes into it. The same command again goes on with it, and everything that arrives is right; or
# `recover --resume`, though there is nothing to be settled. An agent, or a QEMU, there that dies alone costs the copy no more.
# timeout: 240
. "$(dirname "$0")/../../lib/partial.sh"

ends_there() {
	local pid session
	session=$(agent_dst)
	for pid in "$DST_PID" "$session" "$(qemu_dst)"; do kill_now "$pid"; done
	listen_dst --listen "$DEST"
}

goes_back() { # the guest is here, and what is kept is listed
	move_wait 4
	assert_kept
	assert_result 'r["guest"] == "source" and len(r["leftovers"]) == 1 and "-partial (" in r["leftovers"][0] and "is kept until" in r["leftovers"][0]'
	assert_eq "$(find "$VMFERRY_STATE_DIR" -name '*-src.journal')" "" "unfinished journals here"
	wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
	assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
	assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
}

there_again() { # [OPTION...]: to the same place
	move_start a "$DEST" --disk-dir "$DIR/d1" "${KEEPING[@]}" "$@"
	TO=$DIR/d1
}

guest_of_48
to_listener
copy_begins
ends_there
goes_back
[[ $KEPT_BYTES -ge $((DISK_MB << 18)) ]] || fail "only $KEPT_BYTES are kept"
"$BIN/vmferry-dst" recover a --state-dir "$DIR/dst-state" --runtime-dir "$DIR/dst-run" >"$DIR/recover.out" 2>&1 && fail "recover says nothing"
grep -q "$KEPT (.* of $TO/a.raw) is kept until" "$DIR/recover.out" || fail "recover there does not list it: $(<"$DIR/recover.out")"

head -c 3M /dev/urandom | dd of="$KEPT" bs=64K seek=40 conv=notrunc status=none
truncate -s 20M "$KEPT"
there_again --bwlimit 8M
wait_for 60 has_arrived "$TO/a.raw" $((DISK_MB / 2)) || fail "nothing arrives"
kill_now "$(agent_dst)"
goes_back
[[ $KEPT_BYTES -ge $((DISK_MB << 19)) ]] || fail "only $KEPT_BYTES are kept"

there_again --bwlimit 8M
wait_for 60 has_arrived "$TO/a.raw" $((DISK_MB / 2 + 4)) || fail "nothing arrives"
kill_now "$(qemu_dst)"
goes_back

guest_order "$(orders a)" quiesce
resume 0
assert_at_destination
assert_resumed "$KEPT_BYTES"

# The move is over: another order does nothing.
status=0
"$BIN/vmferry" recover a --resume </dev/null >"$DIR/recover.out" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of recover --resume of a guest that has moved"
