#!/bin/bash
# An agent that may have only a few descriptors (ulimit -n), from none for its first socket to enough: each move works, or ends with an error in
# bounded time and the guest runs where it was. None waits for ever for a connection that it cannot accept, or for a ring that it cannot have.
# timeout: 900
. "$(dirname "$0")/../../lib/aftermath.sh"

runs_on() {
	[[ $(status_of "$(free_monitor a)" 2>/dev/null) == running ]]
}

guest_a
was=("${ON[@]}") worked=0
MOVE_S=120
for ((n = 18; n <= 40 && worked < 2; n++)); do
	ON=("${was[@]}" bash -c 'ulimit -n "$0" && exec "$@"' "$n")
	move_start a local
	wait_for "$MOVE_S" process_is_gone "$MOVE_PID" || fail "with $n descriptors the move does not end"
	status=0
	wait "$MOVE_PID" || status=$?
	case $status in
	0)
		worked=$((worked + 1))
		guest_adopt a "$(result 'r["destination_pid"]')"
		GUEST_AT[a]=$TO
		;;
	1 | 3 | 4)
		worked=0
		[[ -s $DIR/move.log ]] || fail "with $n descriptors it ends without a word"
		;;
	*)
		fail "with $n descriptors it ends with status $status: $(tail -n 1 "$DIR/move.log")"
		;;
	esac
	ON=("${was[@]}")
	echo "$n: $status"
	wait_for 60 runs_on || fail "with $n descriptors (status $status) the guest does not run"
	[[ $status -ne 4 ]] || vmferry recover a >"$DIR/recover.out" 2>&1 || true # nor could all be undone with so few
done
[[ $worked -ge 2 ]] || fail "40 descriptors do not suffice: $(tail -n 1 "$DIR/move.log")"
