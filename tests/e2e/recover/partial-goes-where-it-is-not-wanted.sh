#!/bin/bash
# A partial copy is removed when the user says so, by a cancel, by `recover` without --resume, or by a fence at the destination, and when
# its time is over, which is said; but not while a process has it open. A move that was not begun with --keep-partial leaves nothing, and is
# not resumed.
# timeout: 240
. "$(dirname "$0")/../../lib/partial.sh"

recover_there() { # STATUS [OPTION...]
	local status=0
	"$BIN/vmferry-dst" recover a --state-dir "$DIR/dst-state" --runtime-dir "$DIR/dst-run" "${@:2}" >"$DIR/recover.out" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of vmferry-dst recover: $(<"$DIR/recover.out")"
}

is_cut_off() { # [OPTION...]: at both ends, and kept
	copy_begins "$@"
	kill_now "$MOVE_PID"
	guard_ends
	local session
	session=$(agent_dst)
	for pid in "$DST_PID" "$session" "$(qemu_dst)"; do kill_now "$pid"; done
	listen_dst --listen "$DEST"
	wait_for 60 eval 'ls "$TO"/*-partial >/dev/null 2>&1' || fail "nothing is kept"
	assert_kept
}

guest_of_48
to_listener
copy_begins
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
assert_at_source

copy_begins
kill_now "$MOVE_PID"
guard_ends
recover 1
assert_at_source

is_cut_off
recover 1
assert_at_source

is_cut_off
recover_there 4
recover_there 1 --peer-is-fenced
[[ -z $(ls -A "$TO") ]] || fail "left: $(ls -A "$TO")"
recover 1
assert_at_source

KEEP_S=20 # longer than a loaded machine takes to have agents killed and begin another
KEEPING=(--keep-partial ${KEEP_S}s)
is_cut_off
hold_open "$KEPT"
is_over() { # the clock that says when it was to be kept until
	[[ $(date +%s) -gt $(($(stat -c %Z "$KEPT") + KEEP_S)) ]]
}
wait_for 60 is_over
recover_there 4
grep -q "$KEPT is open in process $HOLDER" "$DIR/recover.out" || fail "who has it open: $(<"$DIR/recover.out")"
end_process "$HOLDER"
end_process "$DST_PID"
listen_dst --listen "$DEST"
grep -q "removed $KEPT, which was kept of a move of guest a: its time is over" "$DIR/dst.log" || fail "not said: $(<"$DIR/dst.log")"
recover 1
assert_at_source

# An agent that stands looks, too, however often strangers connect.
is_cut_off
end_process "$DST_PID"
VMFERRY_FAULT=dst-looks-often:fail listen_dst --listen "$DEST"
strangers() { # one after the other, each until the agent has shown it out
	local stranger
	while [[ -e $KEPT ]]; do
		exec {stranger}<>"/dev/tcp/${DEST/://}" || continue
		head -c 256 /dev/zero >&"$stranger" || true # bytes that no agent sends
		cat <&"$stranger" >/dev/null || true
		exec {stranger}>&-
	done 2>/dev/null
}
strangers &
kill_at_exit $!
wait_for 60 eval '[[ ! -e $KEPT ]]' || fail "it stays: $(tail -n 3 "$DIR/dst.log")"
recover 1
assert_at_source

move_until listener disks
kill_now "$MOVE_PID"
guard_ends
status=0
"$BIN/vmferry" recover a --resume </dev/null >"$DIR/recover.out" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of recover --resume of a move that keeps nothing"
said recover.out 'was not begun with --keep-partial'
recover 1
assert_at_source
"$BIN/vmferry" recover --resume </dev/null >"$DIR/recover.out" 2>&1 && fail "--resume of no guest"
"$BIN/vmferry" migrate a "$DEST" --disk-dir "$TO" --keep-partial 1h --reconnect-timeout 0 </dev/null >"$DIR/recover.out" 2>&1 && fail "it begins"
said recover.out 'needs 1 or more'
