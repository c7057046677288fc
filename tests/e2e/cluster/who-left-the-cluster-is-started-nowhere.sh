#!/bin/bash
# Another program than vmferry migrates a guest from its node to a host of which the cluster knows nothing; then that node dies, and is fenced. The other node,
# which the guest had left before, sees its disk, and nobody but the dead node could have said where it runs: but it has noted that in time, so the guest is
# started nowhere until a person says that it may.
# timeout: 240
DISKS=shared
. "$(dirname "$0")/../../lib/pacemaker.sh"

PX=$DIR/px # the host that is no node; its disk is a copy, as all these hosts have one kernel, which would say that it is open
noted() {
	on pb crm_attribute --node pb --name vmferry-gone-vm1 --query --quiet >/dev/null 2>&1
}

is_refused() {
	on pa crm_mon -1 --inactive | grep -qi "vm1 start on pa returned 'not installed' (another program than vmferry has migrated guest vm1 away from pb"
}

cluster_start
guest_configure
guest_runs_on pa
move_to pb
: >"$CALLS"
mkdir "$PX"
qmp "$(node_dir pb)/vm1.mon" '{"execute": "stop"}' >/dev/null
cp "$DISK" "$PX/"
sed "s|$VM/|$PX/|g; s|$DIR/shared/|$PX/|; s|-machine|-incoming unix:$PX/in -machine|" "$(node_dir pa)/vm1.sh" >"$PX/vm1.sh"
sh "$PX/vm1.sh" </dev/null >"$PX/out" 2>&1 &
STRANGER=$!
kill_at_exit "$STRANGER"
wait_for 60 test -S "$PX/in" || fail "the QEMU of the other host does not wait: $(<"$PX/out")"
qmp "$(node_dir pb)/vm1.mon" "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"unix:$PX/in\"}}" >/dev/null
wait_for 60 noted || fail "pb has not noted that it is gone"
qmp "$PX/vm1.mon" '{"execute": "cont"}' >/dev/null
GUEST_AT[vm1]=$PX
wait_for 60 status_is_running || fail "the guest does not go on at the other host: $(<"$PX/out")"
wait_for 60 cluster_is_idle || fail "the cluster has not settled"
assert_eq "$(calls)" "" "what the agent was asked"
power_off pb
wait_for 90 is_refused || fail "it is not refused: $(on pa crm_mon -1 --inactive)"
wait_for 60 cluster_is_idle || fail "the cluster has not settled"
assert_eq "$(calls)" "pa start 5,pa stop 0" "what the agent was asked"
[[ $(on pa vmferry list --json) != *'"vm1"'* ]] || fail "it runs a second time"
guest_verify "$(orders vm1)" blocks

# A person ends it there, and says so.
end_process "$STRANGER"
on pa crm_attribute --node pb --name vmferry-gone-vm1 --delete >/dev/null
on pa crm_resource --cleanup --resource vm1 >/dev/null
guest_runs_on pa 90
