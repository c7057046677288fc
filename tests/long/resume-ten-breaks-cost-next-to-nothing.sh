#!/bin/bash
# A guest of 4 GiB, at 1 Gb/s, to and fro: once undisturbed, then with all its connections reset ten times at random moments. What was sent
# again is at most 2 % of what the undisturbed move sent, and the guest stood still for no longer than it would have, within what moves differ by.
#   MEM_MB=512 tests/long/resume-ten-breaks-cost-next-to-nothing.sh       a smaller one
# timeout: 1200
. "$(dirname "$0")/../lib/lab.sh"
enter_lab 1gbit "$0" "$@"
. "$(dirname "$0")/../lib/outage.sh"

MEM_MB=${MEM_MB:-4096} BREAKS=10 MOVE_S=400
MACHINE=pc FILLED_MB=$((MEM_MB > 3072 ? 2900 : MEM_MB / 8 * 7)) # the witness sees what lies below 4 GiB of addresses: of this machine, 3 GiB of it
LONGER_MS=150 # a blackout under TCG differs by as much from one move to the next

at_the_source() {
	"${ON[@]}" "$@"
}

carry() { # FROM TO [BREAKS]
	ON=(ip netns exec "$1")
	ferry_options "$1" "$2"
	move_start a "${AGENT[$2]}" "${FERRY_OPTIONS[@]}" --json=fine --codec none --dedup off
	[[ -z ${3:-} ]] || break_it "$3"
	move_wait
	guest_verify "$(orders a)" >/dev/null
	assert_result 'r["verified"]'
}

# Each after another part of the memory has gone, in the first pass: by what is left.
break_it() { # TIMES
	local n ports left
	for ((n = 1; n <= $1; n++)); do
		left=$((FILLED_MB * 1048576 / 100 * (95 - n * 9 + RANDOM % 7)))
		wait_event "ev['event'] == 'progress' and ev['left'] < $left" 120 >/dev/null
		mapfile -t ports < <(ports_of_move)
		reset_at at_the_source "${ports[@]}"
		wait_event "ev['event'] == 'progress' and not ev['outages']['now'] and ev['outages']['count'] >= $n" 30 >/dev/null
	done
}

echo "seed: ${SEED:=$RANDOM}"
RANDOM=$SEED
MEM=$MEM_MB WITNESS="ram_mb=$FILLED_MB rate=200" tiny_start a
agent_start src
agent_start dst
carry src dst
without=$(result 'r["downtime_ms"]["total"]') bytes=$(result 'r["bytes_wire"]')
carry dst src "$BREAKS"
with=$(result 'r["downtime_ms"]["total"]') again=$(result 'r["outages"]["bytes_again"]')
echo "undisturbed: $bytes bytes, downtime $without ms; $(result 'r["outages"]["count"]') breaks: $(result 'r["bytes_wire"]') bytes, $again of them again, downtime $with ms"
assert_result "r['outages']['count'] >= $BREAKS"
assert_result "r['outages']['bytes_again'] <= 0.02 * $bytes"
[[ $(calculate "$with < $without + $LONGER_MS") == 1.000 ]] || fail "the guest stood still for $with ms, and for $without ms undisturbed"
