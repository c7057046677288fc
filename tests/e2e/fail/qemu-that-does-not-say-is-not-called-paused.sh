#!/bin/bash
# A move is cancelled, and the source's QEMU refuses to say whether its guest runs, each time: exit code 5, and no more is said than is known.
. "$(dirname "$0")/../../lib/aftermath.sh"

qmp_shim query-status never
ON=(env "${SHIM[@]}")
guest_a
ON=()
move_until local memory
qmp_misanswers
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 5
assert_result 'r["outcome"] == "rolled-back" and "does not say whether it runs" in r["guest_text"] and "paused" not in r["guest_text"]'
qmp_answers
guard_ends
assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
guest_verify "$(orders a)" blocks
[[ -z $(unfinished_journals) ]] || recover 1
assert_nothing_unfinished
assert_next_move_succeeds
