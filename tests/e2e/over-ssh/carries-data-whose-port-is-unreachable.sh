#!/bin/bash
# Data goes through the SSH connection, in either back end, where the agent's port cannot be reached, and the user is told.
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
ssh_guest a
ssh_guest b
ssh_guest c

through_ssh() { # NAME
	assert_result 'any("data goes through the SSH connection instead" in n and "--data-ports" in n for n in notices + plan["notes"])'
	assert_result 'r["transport"] == "TLS 1.3, TLS_AES_128_GCM_SHA256, through SSH"'
	assert_arrived "$1"
	assert_eq "$(on_a ss -Hnt state established "dst $B_ADDRESS" | grep -vc ':22 *$')" 0 "connections besides SSH"
}

# refused at once
on_a ip route add prohibit 10.231.77.0/24
ssh_move a root@host-b --via 10.231.77.1
through_ssh a

# a firewall that says nothing, and one agent that listens where only that host itself can come to
on_b nft -f - <<-END_OF_RULES || skip "no nft here"
	table inet test {
		chain in {
			type filter hook input priority 0;
			tcp dport { 22 } accept
			ct state established accept
			iifname "to-a" tcp flags syn drop
		}
	}
END_OF_RULES
ssh_move b root@host-b --ssh=openssh --channels 3
through_ssh b
on_b nft delete table inet test
ssh_move c root@host-b --listen-address 127.0.0.1 --codec zstd
through_ssh c
