#!/bin/bash
# sshd and its connections end in the middle of a copy: the move goes on over its own, and nothing is busy with the one that is lost.
. "$(dirname "$0")/../../lib/over-ssh.sh"
. "$(dirname "$0")/../../lib/outage.sh"
hosts_start
on_b umount "$TOP/build/guest"
ssh_guest
ssh_move_start a root@host-b "${SLOW_DISKS[@]}"
while_disks
port=$(on_a ss -tnH state established "dport = :22" | sed -nE 's/.*:([0-9]+) +[^ ]*:22 *$/\1/p')
sshd_stop
reset_at on_a "$port"
wait_for 60 grep -q 'the SSH connection is lost' "$DIR/move.log" || fail "that is not noticed"

seconds() { grep -c '"second":true' "$DIR/move.json"; }
busiest() { awk '{ n = $14 + $15; if (n > most) most = n } END { print most }' /proc/"$MOVE_PID"/task/*/stat; } # ticks of one thread
have_passed() { [[ $(seconds) -ge $1 ]]; }
from=$(busiest)
at=$EPOCHREALTIME
wait_for 60 have_passed $(($(seconds) + 3)) || fail "no progress is told"
ticks=$(($(busiest) - from)) ms=$(((${EPOCHREALTIME/./} - ${at/./}) / 1000))
[[ $((ticks * 1000 / $(getconf CLK_TCK))) -lt $((ms / 2)) ]] || fail "a thread is busy: $ticks ticks in $ms ms"
vmferry set "${GUEST_PID[a]}" bwlimit=0
move_wait
assert_arrived
