#!/bin/bash
# Moves go by SSH as root with a key if the resource agent is configured as documented, without a destination or options: nothing of vmferry
# is installed at the other node. The guest, with its disk, goes there and back.
# tier: check-all
export CLUSTER_SSH=yes
. "$(dirname "$0")/../../lib/pacemaker.sh"
cluster_start
guest_configure
guest_runs_on pa
read -r pages blocks <<<"$(tiny_written vm1)"
: >"$CALLS"
move_to pb
read -r more_pages more_blocks <<<"$(tiny_written vm1)"
[[ $more_pages -ge $pages && $more_blocks -ge $blocks ]] || fail "the guest has begun anew"
assert_eq "$(calls)" "pa migrate_to 0,pb migrate_from 0,pa stop 0" "what the agent was asked"
[[ -e $(node_dir pb)/vm1.raw ]] || fail "its disk is not at pb"
guest_verify "$(orders vm1)" blocks
move_to pa
guest_verify "$(orders vm1)" blocks
