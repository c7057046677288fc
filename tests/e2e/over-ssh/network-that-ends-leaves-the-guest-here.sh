#!/bin/bash
# The network ends for good in the middle of a copy: the guest runs on here, and the other host is as it was, but for sshd.
# When it is back, recover finishes what is in the journal.
# takes: 36
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
sshd_stop
sshd_start 'ClientAliveInterval 2' 'ClientAliveCountMax 4' # else it does not know that we are gone
on_b umount "$TOP/build/guest"
ssh_guest
remember

ssh_move_start a root@host-b "${SLOW_DISKS[@]}" --reconnect-timeout 1
while_disks
on_b ip link set to-a down
move_wait 4
assert_result '("lost the destination" in r["reason"] or "data connection to the destination" in r["reason"]) and r["guest_text"] == "running on the source"'
assert_result 'any("vmferry recover" in l for l in r["leftovers"])'
assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
guest_verify "$(orders a)" blocks
is_empty_there() { [[ -z $(ls -A "$TO") && -z $(find_on_b '^[^ ]*/(qemu-system|vmferry)') ]]; }
wait_for 60 is_empty_there || fail "left on host-b: $(ls -A "$TO"; on_b_runs)"
on_b ip link set to-a up
is_back() { on_a bash -c ": <>/dev/tcp/$B_ADDRESS/22" 2>/dev/null; }
wait_for 60 is_back || fail "the network does not come back"
ssh_recover 1
assert_as_remembered
