#!/bin/bash
# No connection comes back: after the time that was given the move is rolled back; when the guest stands still as it is switched over, after
# two seconds. The destination waits for longer, and lets go as soon as the source comes to tell in another session.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/over-ssh.sh"
. "$(dirname "$0")/../../lib/outage.sh"
hosts_start
on_b umount "$TOP/build/guest"
ssh_guest
ON=(on_a)
remember

breaks() {
	mapfile -t ports < <(ports_of_move)
	on_b ip link set to-a down
	reset_at on_a "${ports[@]}"
	reset_at on_b "${ports[@]}"
}

gives_up_after() { # SECONDS
	wait_for 60 runs_here || fail "the guest is $(status_of "$(free_monitor a)")"
	wait_for 60 grep -q "none came for $1 s" "$DIR/move.log" || fail "it does not give up after $1 s"
	on_b ip link set to-a up
	move_wait 1
	assert_result 'r["guest_text"] == "running on the source" and "lost the destination" in r["reason"] and not r.get("leftovers")'
	assert_as_remembered
	guest_verify "$(orders a)" blocks
}

ssh_move_start a root@host-b "${SLOW_DISKS[@]}" --reconnect-timeout 1
while_disks
breaks
wait_for 60 grep -q 'no connection to the destination' "$DIR/move.json" || fail "it does not say so"
gives_up_after 1

fault src-pre-switchover stop
ssh_move_start a root@host-b
fault_wait
unset VMFERRY_FAULT
assert_eq "$(status_of "$(free_monitor a)")" finish-migrate "run state"
breaks
fault_continue
gives_up_after 2
