#!/bin/bash
# The node of a guest loses its power, and is fenced. A disk that both nodes see: the guest starts at the other node, though it had gone from there. A disk
# of the node's own: the other node has an old copy of it, from which the guest is not started.
# timeout: 240
. "$(dirname "$0")/../../lib/pacemaker.sh"

is_refused() {
	on pa crm_mon -1 --inactive | grep -qi "vm1 start on pa returned 'not installed' (.*went to pb:7788"
}

for DISKS in shared local; do
	cluster_start
	guest_configure
	guest_runs_on pa
	move_to pb
	power_off pb
	: >"$CALLS"
	if [[ $DISKS == shared ]]; then
		guest_runs_on pa 90
		wait_for 60 grep -aq 'witness ready' "$(node_dir pa)/vm1.console" || fail "the guest does not boot"
		guest_verify "$(orders vm1)" blocks
		assert_eq "$(calls)" "pa start 0" "what the agent was asked"
	else
		wait_for 90 is_refused || fail "its old copy is not refused: $(on pa crm_mon -1 --inactive)"
		wait_for 60 cluster_is_idle || fail "the cluster has not settled"
		assert_eq "$(calls)" "pa start 5,pa stop 0" "what the agent was asked"
		[[ $(on pa vmferry list --json) != *'"vm1"'* ]] || fail "its old copy runs"
	fi
	assert_eq "$(<"$FENCED")" pb "nodes that were fenced"
	cluster_end
done
