#!/bin/bash
# A move that fails leaves the guest running where it was, and Pacemaker does nothing about it: the resource is blocked until `cleanup`. It fails as the
# destination's agent is killed, as Pacemaker's timeout comes near, of which vmferry hears before Pacemaker kills, and as agent and vmferry are killed. Without on-fail=block the
# guest is not even started. Other parameters do not restart it.
# timeout: 240
. "$(dirname "$0")/../../lib/pacemaker.sh"

is_blocked() {
	on pa crm_mon -1 --inactive | grep -q 'vm1.*FAILED.*(blocked)'
}

# The guest runs on here, as if nothing had been, and the cluster has done no more.
assert_left_alone() { # REASON CALLS
	wait_for 60 is_blocked || fail "it is not blocked: $(on pa crm_mon -1 --inactive)"
	wait_for 60 cluster_is_idle || fail "the cluster has not settled"
	assert_eq "$(calls)" "$2" "what the agent was asked"
	wait_for 60 status_is_running || fail "the guest does not run on"
	guest_verify "$(orders vm1)" blocks
	grep 'Result of migrate_to operation for vm1 on pa: ' "$DIR/pa/log/pacemaker/pacemaker.log" | tail -n 1 | grep -q "$1" || fail "the log does not say why"
	on pa crm_resource --clear --resource vm1
	on pa crm_resource --cleanup --resource vm1 >/dev/null
	guest_runs_on pa
	: >"$CALLS"
}

copies() { # agents are at work on both nodes, and disks under way
	on pa vmferry status vm1 --json 2>/dev/null | grep -q '"disk_left":[1-9]'
}

cluster_start
NOT_BLOCKED=yes guest_configure
wait_for 60 eval '[[ $(on pa crm_mon -1) == *on-fail=block* ]]' || fail "a guest without on-fail=block is taken"
! grep -q 'start 0' "$CALLS" || fail "it was started: $(calls)"
guest_forget
on pa crm_resource --cleanup >/dev/null

MOVE_S=40 guest_configure
guest_runs_on pa
: >"$CALLS"
on pa crm_resource --resource vm1 --set-parameter options --parameter-value "--plaintext --reuse auto --bwlimit 300K --codec none --reconnect-timeout 1" >/dev/null
wait_for 60 eval '[[ $(calls) == "pa reload-agent 0" ]]' || fail "another way to move the guest has restarted it: $(calls)"
: >"$CALLS"
on pa crm_resource --move --resource vm1 --node pb >/dev/null
wait_for 60 copies || fail "the copy has not begun"
on pb pkill -KILL -n -x vmferry-dst
assert_left_alone 'ended with [14]: .*' "pa migrate_to 1"

on pa crm_resource --move --resource vm1 --node pb >/dev/null
assert_left_alone 'ended with 1: .*as the timeout of migrate_to, 40 s, came near' "pa migrate_to 1"

on pa crm_resource --move --resource vm1 --node pb >/dev/null
wait_for 60 copies || fail "the copy has not begun"
on pa pkill -KILL -g "$(on pa pgrep -f 'scripts/ocf/vmferry migrate_to' | head -n 1 | xargs -I '{}' nsenter -t "${NODE_PID[pa]}" -m -p ps -o pgid= -p '{}' | tr -d ' ')"
assert_left_alone 'error' ""

on pa crm_resource --move --resource vm1 --node pb >/dev/null
wait_for 60 copies || fail "the copy has not begun"
on pa vmferry set vm1 bwlimit=100M
guest_runs_on pb
guest_verify "$(orders vm1)" blocks
