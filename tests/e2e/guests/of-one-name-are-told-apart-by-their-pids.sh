#!/bin/bash
# Two guests of one name are moved at the same time: an order by that name is for neither, and one by a pid is for that one.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

NAME=twin-$$
declare -A MOVES
for which in a b; do
	mkdir "$DIR/$which" "$DIR/to-$which"
	guest_disk "$DIR/$which.raw" raw 8M
	MEM=64 WITNESS="ram_mb=4 rate=50 disks=vda disk_mb=4 disk_rate=10" tiny_start "$which" $(guest_drive d0 "$DIR/$which.raw" raw) -name "$NAME"
	"$BIN/vmferry" migrate "${GUEST_PID[$which]}" local --disk-dir "$DIR/to-$which" --hold --json </dev/null >"$DIR/$which.json" 2>"$DIR/$which.log" &
	MOVES[$which]=$!
	kill_at_exit "${MOVES[$which]}"
	wait_for 60 grep -q '"ready to switch over' "$DIR/$which.json" || fail "the move of $which is not held: $(tail -n 3 "$DIR/$which.log")"
done
status=0
vmferry cancel --no-wait "$NAME" >"$DIR/out" 2>&1 || status=$?
pids=$(printf '%s\n' "${GUEST_PID[a]}" "${GUEST_PID[b]}" | sort -n | xargs | sed 's/ / and /')
grep -q "two guests called $NAME are moved, processes $pids: say which by its pid" "$DIR/out" || fail "$(<"$DIR/out")"
assert_eq "$status" 1 "exit code"
vmferry cancel --no-wait "${GUEST_PID[b]}" >/dev/null || fail "it cannot be cancelled by its pid"
wait_for 60 process_is_gone "${MOVES[b]}" || fail "that move does not end"
! process_is_gone "${MOVES[a]}" || fail "the other has ended, too"
vmferry cancel --no-wait "$NAME" >/dev/null || fail "one alone is not found by its name"
wait_for 60 process_is_gone "${MOVES[a]}" || fail "that move does not end"
