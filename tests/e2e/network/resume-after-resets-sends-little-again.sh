#!/bin/bash
# All connections, control, and one data channel are reset again and again while disks and memory are copied: the move goes on where it was,
# and sends no more again than what was on its way.
# tier: gate
. "$(dirname "$0")/../../lib/outage.sh"
[[ $EUID -eq 0 ]] || skip "only root can reset a connection (ss -K)"

again_and_again() { # OPTION...
	local n=0
	move_start a "$DEST" --channels 3 "$@"
	while_disks
	for n in 1 2 3 4 5; do
		wait_for 60 has_connections 4 || fail "connections: ${PORTS[*]}"
		case $n in
		2) reset_at env "${PORTS[0]}" ;;
		3) reset_at env "${PORTS[1]}" ;;
		*) reset_at env "${PORTS[@]}" ;;
		esac
		wait_for 60 has_outages "$n" || fail "no connection again after break $n: $(tail -n 5 "$DIR/move.log")"
		[[ $n -ne 3 ]] || while_ram
	done
	vmferry set "${GUEST_PID[a]}" bwlimit=0
	vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
	move_wait
	assert_result '(r["verified"] or "unverified" in r) and r["outages"]["count"] >= 5 and not r["outages"]["now"]'
	assert_result 'r["outages"]["bytes_again"] <= 16 * 1048576 * r["outages"]["count"]' "what was sent again"
	assert_moved "$FROM/a.raw"
}

guest_a
FROM=$DIR
to_local
again_and_again "${SLOW_RAM[@]}" --bwlimit 3M --hold
if beyond_gate unit/test-channel-resume e2e/live/works-in-both-ram-modes-and-with-multifd; then
	FROM=${GUEST_AT[a]}
	to_listener
	again_and_again "${SLOW_RAM[@]}" --bwlimit 3M --hold --ram-mode opaque
fi
assert_next_move_succeeds
