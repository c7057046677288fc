#!/bin/bash
# Two hosts, and a network between them that goes away: one end forgets its connections, or the other, or the SSH connection that carries
# all of them ends. The move goes on where it was.
. "$(dirname "$0")/../../lib/over-ssh.sh"
. "$(dirname "$0")/../../lib/outage.sh"
hosts_start
ssh_guest
ssh_guest b
ssh_guest c
ON=(on_a)

network() { # up|down
	on_b ip link set to-a "$1"
}

outage() { # HOST THAT FORGETS, COUNT
	wait_for 60 has_connections 3 || fail "connections: ${PORTS[*]}"
	network down
	reset_at "$1" "${PORTS[@]}"
	network up
	wait_for 60 has_outages "$2" || fail "not connected again: $(tail -n 5 "$DIR/move.log")"
}

ssh_move_start a root@host-b "${SLOW_DISKS[@]}"
while_disks
outage on_b 1
outage on_a 2
vmferry set "${GUEST_PID[a]}" bwlimit=0
move_wait
assert_result 'r["verified"] and r["outages"]["count"] >= 2'
assert_arrived

# all of it through SSH, whose connection ends: another login
through_ssh() { # NAME OPTION...
	ssh_move_start "$1" root@host-b --listen-address 127.0.0.1 "${@:2}" "${SLOW_DISKS[@]}"
	while_disks
	kill $(find_on_b '^sshd(-session)?: root') # OpenSSH 9.8 has a program of its own for sessions
	wait_for 60 has_outages 1 || fail "not connected again: $(tail -n 5 "$DIR/move.log")"
	vmferry set "${GUEST_PID[$1]}" bwlimit=0
	move_wait
	assert_result 'r["verified"] and "through SSH" in r["transport"]'
	assert_arrived "$1"
}
through_ssh b
through_ssh c --ssh=openssh
