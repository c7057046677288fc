#!/bin/bash
# A node loses its power while a guest moves, whose disk both see. The destination: the guest runs on where it was. The source: once that is fenced the guest
# starts at the destination, though a move to there was under way; and if all of it had come it goes on there with its memory.
# timeout: 300
. "$(dirname "$0")/../../lib/pacemaker.sh"

copies() {
	on pa vmferry status vm1 --json 2>/dev/null | grep -q '"ram_left":[1-9]'
}

begin() { # [OPTION...]
	cluster_start
	DISKS=shared guest_configure "options=--plaintext --reconnect-timeout 2 $*"
	guest_runs_on pa
	on pa crm_resource --move --resource vm1 --node pb >/dev/null
}

assert_whole() { # NODE THAT WAS FENCED
	guest_verify "$(orders vm1)" blocks
	assert_eq "$(<"$FENCED")" "$1" "nodes that were fenced"
	cluster_end
}

slowly=(--bwlimit 500K --codec none --dedup off)
begin "${slowly[@]}"
wait_for 60 copies || fail "the copy has not begun"
power_off pb
wait_for 60 grep -q pb "$FENCED" || fail "pb is not fenced"
wait_for 60 eval 'on pa crm_mon -1 --inactive | grep -q "vm1.*FAILED.*(blocked)\|vm1.*Started pa"' || fail "$(on pa crm_mon -1 --inactive)"
on pa crm_resource --clear --resource vm1 >/dev/null
on pa crm_resource --cleanup --resource vm1 >/dev/null
guest_runs_on pa
assert_eq "$(grep -c start "$CALLS")" 1 "starts"
assert_whole pb

begin "${slowly[@]}"
wait_for 60 copies || fail "the copy has not begun"
power_off pa
guest_runs_on pb 120
wait_for 60 grep -aq 'witness ready' "$(node_dir pb)/vm1.console" || fail "the guest does not boot"
assert_whole pa

echo after-SRC_COMMITTED >"$DIR/fault-at"
begin
wait_for 60 test -s "$DIR/fault" || fail "the move does not come to its hand-over"
power_off pa
guest_runs_on pb 120
! grep -aq 'witness ready' "$(node_dir pb)/vm1.console" || fail "the guest has begun anew, though it was there"
assert_whole pa
