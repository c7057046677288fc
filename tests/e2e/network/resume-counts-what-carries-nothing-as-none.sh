#!/bin/bash
# Connections can be made, and what is large does not get through (a path with a smaller MTU that does not say so): that counts as none. The
# guest, which stands still for its switchover, goes on here after two seconds of that; and while a network is known to be away it is not
# stopped for its switchover at all.
. "$(dirname "$0")/../../lib/over-ssh.sh"
. "$(dirname "$0")/../../lib/outage.sh"
command -v nft >/dev/null || skip "nft is not installed"
hosts_start
ssh_guest
WITNESS='ram_mb=32 rate=100 disks=vda disk_mb=8 disk_rate=0' ssh_guest b # a disk write would keep it from being stopped, too
ON=(on_a)

large_ones() { # add|delete
	if [[ $1 == add ]]; then
		on_b nft 'table inet test { chain in { type filter hook input priority 0; iifname "to-a" meta length > 900 drop; }; }'
	else
		on_b nft delete table inet test
	fi
}

fault src-pre-switchover stop
ssh_move_start a root@host-b --reconnect-timeout 30
fault_wait
unset VMFERRY_FAULT
large_ones add
begin=$EPOCHREALTIME
fault_continue
wait_for 60 runs_here a || fail "the guest stands still"
stood=$((${EPOCHREALTIME/./} - ${begin/./}))
large_ones delete
[[ $stood -lt 20000000 ]] || fail "the guest stood still for $stood us"
move_wait 1
assert_result '"lost the destination" in r["reason"]'
guest_verify "$(orders a)" blocks

ssh_move_start b root@host-b --hold --json=fine
wait_event 'ev["event"] == "progress" and ev["held"]' >/dev/null
mapfile -t ports < <(ports_of_move)
on_b ip link set to-a down
reset_at on_a "${ports[@]}"
wait_event 'ev["event"] == "notice" and "no connection to the destination" in ev["text"]' >/dev/null
vmferry switch --no-wait "${GUEST_PID[b]}"
wait_event 'ev["event"] == "progress" and ev["second"] and ev.get("outages", {}).get("ms", 0) > 3500' >/dev/null
runs_here b || fail "the guest was stopped for a switchover that cannot be"
on_b ip link set to-a up
move_wait
assert_result 'r["verified"] and r["outages"]["count"] >= 1'
assert_arrived b
