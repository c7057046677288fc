#!/bin/bash
# sshd and its connections end in the middle of a copy: the move goes on over its own.
. "$(dirname "$0")/../lib/over-ssh.sh"
hosts_start
on_b umount "$TOP/build/guest"
ssh_guest
ssh_move_start a root@host-b "${SLOW_DISKS[@]}"
while_disks
sshd_stop
vmferry set "${GUEST_PID[a]}" bwlimit=0
move_wait
assert_arrived
