#!/bin/bash
# Strangers connect to the agent's port during a move and say nothing, or one byte as TLS would: the data channels come a little
# later, and are neither refused nor kept waiting. Strangers are given up after 10 s, and come again; once the channels are there no one can come.
. "$(dirname "$0")/../../lib/over-ssh.sh"
GUEST_START=guest_start # a kernel, whose transfer takes a while
hosts_start
ssh_guest
ssh_move_start a root@host-b --data-ports 47000-47000 --bwlimit 1M # a slow link, so that files take a while
wait_event 'ev["event"] == "plan"' >/dev/null
(exec nsenter -t "$HOST_A" -n "$TOP/tests/lib/strangers.py" "$B_ADDRESS:47000" 24 more) >"$DIR/strangers" &
STRANGERS=$!
kill_at_exit "$STRANGERS"
wait_for 60 grep -q connected "$DIR/strangers" || fail "the strangers do not come"
vmferry set "${GUEST_PID[a]}" bwlimit=0
MOVE_S=50 move_wait
assert_result 'r["downtime_ms"]["predicted"] < 300'
assert_arrived
wait_for 60 process_is_gone "$STRANGERS" || fail "the port is open still" # a refused stranger ends
result 'r["total_ms"]'
