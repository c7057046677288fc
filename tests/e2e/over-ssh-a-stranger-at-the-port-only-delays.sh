#!/bin/bash
# Somebody connects to the agent's port twice during a move and says nothing: the data channels come a little later, and the move
# still switches over as soon as it would have.
. "$(dirname "$0")/../lib/over-ssh.sh"
hosts_start
ssh_guest
mkfifo "$DIR/now"
(exec nsenter -t "$HOST_A" -n python3 -c '
import socket, sys
sys.stdin.readline()
s = [socket.create_connection(("'$B_ADDRESS'", 47000)) for i in range(2)]
print("connected", flush=True)
s[1].recv(1)') <"$DIR/now" >"$DIR/stranger" &
kill_at_exit $!
exec {now}>"$DIR/now"
ssh_move_start a root@host-b --data-ports 47000-47000 --bwlimit 10M # so that files take a while
wait_event 'ev["event"] == "plan"' >/dev/null
echo >&"$now"
wait_for 10 grep -q connected "$DIR/stranger" || fail "the stranger does not come"
vmferry set "${GUEST_PID[a]}" bwlimit=0
MOVE_S=50 move_wait
assert_result 'r["downtime_ms"]["predicted"] < 300'
assert_arrived
result 'r["total_ms"]'
