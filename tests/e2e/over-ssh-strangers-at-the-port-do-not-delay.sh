#!/bin/bash
# Strangers connect to the agent's port during a move and say nothing, or one byte as TLS would: the data channels come a little
# later, and are neither refused nor kept waiting. Strangers are given up after 10 s; once the channels are there no one can come.
. "$(dirname "$0")/../lib/over-ssh.sh"
GUEST_START=guest_start # whose files take a while
hosts_start
ssh_guest
ssh_move_start a root@host-b --data-ports 47000-47000 --bwlimit 10M # so that files take a while
wait_event 'ev["event"] == "plan"' >/dev/null
(exec nsenter -t "$HOST_A" -n "$TOP/tests/lib/strangers.py" "$B_ADDRESS:47000" 24) >"$DIR/strangers" &
kill_at_exit $!
wait_for 10 grep -q connected "$DIR/strangers" || fail "the strangers do not come"
vmferry set "${GUEST_PID[a]}" bwlimit=0
MOVE_S=50 move_wait
assert_result 'r["downtime_ms"]["predicted"] < 300'
assert_arrived
wait_for 5 grep -q gone "$DIR/strangers" || fail "strangers are still connected"
last=$(sed -n 's/^gone, the last after //p' "$DIR/strangers")
[[ ${last%.*} -lt 9 ]] || fail "the port was open for strangers for $last s: the move waited for them"
result 'r["total_ms"]'
