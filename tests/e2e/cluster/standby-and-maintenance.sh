#!/bin/bash
# A node that is to be empty (standby) has its guest moved as it runs. In maintenance mode a person moves it, by word; the cluster finds it where it is.
. "$(dirname "$0")/../../lib/pacemaker.sh"
cluster_start
guest_configure
guest_runs_on pa
: >"$CALLS"
on pa crm_attribute --node pa --name standby --update on
guest_runs_on pb
wait_for 60 cluster_is_idle || fail "the cluster has not settled"
assert_eq "$(calls)" "pa migrate_to 0,pb migrate_from 0,pa stop 0" "what the agent was asked"
on pa crm_attribute --node pa --name standby --delete
wait_for 60 cluster_is_idle || fail "the cluster has not settled"
guest_runs_on pb

on pa crm_attribute --type crm_config --name maintenance-mode --update true
wait_for 60 cluster_is_idle || fail "the cluster has not settled"
: >"$CALLS"
on pb vmferry migrate vm1 pa:7788 --plaintext --reuse auto --owner pacemaker >"$DIR/said" 2>&1 || fail "moved by hand: $(<"$DIR/said")"
on pa crm_resource --refresh --resource vm1 >/dev/null
wait_for 60 cluster_is_idle || fail "the cluster has not settled"
on pa crm_attribute --type crm_config --name maintenance-mode --delete
guest_runs_on pa
wait_for 60 cluster_is_idle || fail "the cluster has not settled"
guest_runs_on pa
assert_eq "$(calls)" "" "what the agent was asked"
guest_verify "$(orders vm1)" blocks
