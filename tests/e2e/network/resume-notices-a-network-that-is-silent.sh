#!/bin/bash
# A destination agent that is suspended takes nothing, but TCP knows that it is there: it is waited for, and said so. Then nobody is told that connections
# are gone: a firewall between the hosts has forgotten them, the source's address is another one; new ones get through. That is noticed, and
# the move goes on where it was.
. "$(dirname "$0")/../../lib/over-ssh.sh"
. "$(dirname "$0")/../../lib/outage.sh"
command -v nft >/dev/null || skip "nft is not installed"
SUSPENDED_S=18 # longer than a network may say nothing
hosts_start
ssh_guest
ON=(on_a)
ssh_move_start a root@host-b "${SLOW_DISKS[@]}"
while_disks

agent=$(agent_on_b)
kill -STOP $agent
begin=$SECONDS
is_over() { [[ $((SECONDS - begin)) -ge $SUSPENDED_S ]]; }
wait_for 60 is_over || fail "time stands still"
assert_eq "$(outages)" 0 "outages while the agent is suspended"
wait_event 'ev["event"] == "notice" and "has taken nothing for 15 s; it is waited for, and the guest is here as before" in ev["text"]' >/dev/null
kill -CONT $agent

wait_for 60 has_connections 3 || fail "connections: ${PORTS[*]}"
forgotten=$(IFS=,; echo "${PORTS[*]}")
on_b nft -f - <<-END
	table inet test {
		chain in { type filter hook input priority 0; tcp sport { $forgotten } drop; }
		chain out { type filter hook output priority 0; tcp dport { $forgotten } drop; }
	}
END
wait_for 60 has_outages 1 || fail "not connected again: $(tail -n 5 "$DIR/move.log")"

on_a ip address del "$A_ADDRESS/24" dev to-b
on_a ip address add 10.231.0.9/24 dev to-b
wait_for 60 has_outages 2 || fail "not connected again from the new address: $(tail -n 5 "$DIR/move.log")"
vmferry set "${GUEST_PID[a]}" bwlimit=0
move_wait
assert_result 'r["verified"]'
guest_verify "$(orders a)" blocks
wait_for 60 eval '[[ -z $(agent_on_b) ]]' || fail "the agent is left on host-b"
