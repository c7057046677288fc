#!/bin/bash
# A move to a peer so far away that a switchover takes longer than --max-downtime allows, whatever is left, has nothing to wait for: it says
# so, and ends. With --on-stall=cancel it gives up instead.
. "$(dirname "$0")/../../lib/lab.sh"
enter_lab unshaped "$0" "$@"
. "$(dirname "$0")/../../lib/aftermath.sh"

ADDRESS=([src]=10.79.0.1 [dst]=10.79.0.2)
"$TOP/tests/lib/delay.py" src "${ADDRESS[src]}" dst "${ADDRESS[dst]}" 50 >"$DIR/delay.out" 2>&1 &
kill_at_exit $!
wait_for 60 grep -qs ready "$DIR/delay.out" || fail "no delay: $(<"$DIR/delay.out")"

# shellcheck disable=SC2034 # it is guest.sh's
ON=(ip netns exec src)
tiny_start a
agent_start dst
ferry_options src dst
mkdir "$DIR/m"

ferry() { # STATUS [OPTION...]
	local status=0
	timeout 60 ip netns exec src "$BIN/vmferry" migrate "$(monitor a)" "${AGENT[dst]}" --disk-dir "$DIR/m" --json -v \
		"${FERRY_OPTIONS[@]}" "${@:2}" </dev/null >"$DIR/move.json" 2>"$DIR/move.log" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry migrate ${*:2}"
}

ip netns exec src "$BIN/vmferry" check "$(monitor a)" "${AGENT[dst]}" --disk-dir "$DIR/m" "${FERRY_OPTIONS[@]}" >"$DIR/check" 2>&1 ||
	fail "check: $(<"$DIR/check")"
grep -Eq 'round trip [1-9][0-9][0-9]\.[0-9]+ ms' "$DIR/check" || fail "another round trip: $(<"$DIR/check")"
grep -q 'ms of downtime, more than is allowed (--max-downtime)' "$DIR/check" || fail "check says nothing of --max-downtime: $(<"$DIR/check")"

ferry 1 --on-stall cancel
assert_result 'r["guest"] == "source" and "round trip" in r["reason"] and "however little is left" in r["reason"]'
assert_eq "$(status_of "$(monitor a)")" running "the guest"

ferry 0
# three round trips, which TCP has measured, and what a switchover takes anywhere
assert_result '300 < r["downtime_ms"]["total"] < 5000'
grep -aq 'stand still for about [0-9]* ms, however little is left (.*round trip [1-9][0-9][0-9][.0-9]* ms.*), more than the 300 allowed' "$DIR/move.json" ||
	fail "the move does not say why the guest stands still for longer than was said: $(grep -a notice "$DIR/move.json")"
guest_adopt a "$(result 'r["destination_pid"]')"
GUEST_AT[a]=$DIR/m
guest_verify "$(orders a)"
