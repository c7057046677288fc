#!/bin/bash
# tests/faults/network.sh WHEN WHICH WHAT: at that moment of a move between two hosts, something happens to its connection of control, to one of those
# that carry data, or to the network.
. "$(dirname "$0")/cell.sh"
. "$TOP/tests/lib/ssh-host.sh"
. "$TOP/tests/lib/outage.sh"
command -v nft >/dev/null || skip "nft is not installed"
WHEN=$1 WHICH=$2 WHAT=$3
RECONNECT_S=15

rules() { # LINE...: of nftables, at host-b, in place of those that there are
	on_b nft delete table inet test 2>/dev/null || true
	[[ $# -eq 0 ]] || printf '%s\n' "table inet test {" "$@" "}" | on_b nft -f -
}

# Rules that match the incoming and the outgoing packets of those connections.
inward() {
	[[ $WHICH == all ]] && echo 'iifname "to-a"' || echo "tcp sport { $PORTS }"
}

outward() {
	[[ $WHICH == all ]] && echo 'oifname "to-a"' || echo "tcp dport { $PORTS }"
}

dropped() { # [THAT ARE SO]
	rules "chain in { type filter hook input priority 0; $(inward) ${1:-} drop; }" \
		"chain out { type filter hook output priority 0; $(outward) ${1:-} drop; }"
}

heal() {
	rules
}

ssh_hosts_start
ON=(nsenter -t "$HOST_A" -n -m -u env -C "$PWD") DST_ON=(nsenter -t "$HOST_B" -n -m -u env -C "$PWD") DST_AT=$B_ADDRESS
HEAL=heal DST_OPTIONS=(--plaintext) MOVE_OPTIONS=(--plaintext)
cell_begins
reach "$WHEN"
mapfile -t ports < <(ports_of_move)
case $WHICH in
control) ports=("${ports[@]:0:1}") ;;
data) ports=("${ports[@]:1:1}") ;;
esac
[[ $WHICH == all || ${#ports[@]} -gt 0 ]] || absent "there is no connection of $WHICH at that moment"
PORTS=$(IFS=,; echo "${ports[*]}")

case $WHAT in
cut1 | cut10)
	dropped
	go_on
	wait_ms "${WHAT#cut}000"
	heal
	;;
cut) dropped ;;
reset)
	[[ ${#ports[@]} -gt 0 ]] || absent "there is no connection at that moment"
	reset_at on_a "${ports[@]}"
	;;
half)
	[[ ${#ports[@]} -gt 0 ]] || absent "there is no connection at that moment"
	dropped "tcp flags & rst == rst"
	reset_at on_a "${ports[@]}"
	;;
to-b-lost) rules "chain in { type filter hook input priority 0; $(inward) drop; }" ;;
to-a-lost) rules "chain out { type filter hook output priority 0; $(outward) drop; }" ;;
trickle) dropped "limit rate over 2/second burst 1 packets" ;;
*) fail "what is $WHAT?" ;;
esac
go_on
settle
verdict
