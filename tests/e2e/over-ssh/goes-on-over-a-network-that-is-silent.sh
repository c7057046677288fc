#!/bin/bash
# Everything goes through SSH, and nobody is told that its connection is gone: a firewall between the hosts has forgotten it; a new one gets through. That is
# noticed, another login is made, and the move goes on where it was. While the guest stands still it is noticed at once, and the guest goes on here.
. "$(dirname "$0")/../../lib/over-ssh.sh"
. "$(dirname "$0")/../../lib/outage.sh"
command -v nft >/dev/null || skip "nft is not installed"
hosts_start
ssh_guest
ON=(on_a)
remember

forgets() { # PORTS at the source
	on_b nft -f - <<-END
		table inet test {
			chain in { type filter hook input priority 0; iifname "to-a" tcp sport $1 drop; }
			chain out { type filter hook output priority 0; oifname "to-a" tcp dport $1 drop; }
		}
	END
}

ssh_move_start a root@host-b --listen-address 127.0.0.1 "${SLOW_DISKS[@]}"
while_disks
port=$(on_a ss -tnH state established "dport = :22" | sed -nE 's/.*:([0-9]+) +[^ ]*:22 *$/\1/p')
[[ $port =~ ^[0-9]+$ ]] || fail "connections: $port"
forgets "$port"
wait_for 60 has_outages 1 || fail "not connected again: $(tail -n 5 "$DIR/move.log")"
on_b nft delete table inet test
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
assert_as_remembered

fault src-pre-switchover stop
ssh_move_start a root@host-b --listen-address 127.0.0.1
fault_wait
unset VMFERRY_FAULT
assert_eq "$(status_of "$(free_monitor a)")" finish-migrate "run state"
forgets 1-65535
begin=$EPOCHREALTIME
fault_continue
wait_for 60 runs_here || fail "the guest stands still"
stood=$((${EPOCHREALTIME/./} - ${begin/./}))
echo "it stood still for $stood us"
[[ $stood -lt 12000000 ]] || fail "the guest stood still for $stood us"
on_b nft delete table inet test
move_wait 1
assert_result 'r["guest_text"] == "running on the source" and "lost the destination" in r["reason"] and not r.get("leftovers")'
assert_as_remembered
guest_verify "$(orders a)" blocks
