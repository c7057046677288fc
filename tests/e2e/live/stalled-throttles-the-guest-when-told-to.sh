#!/bin/bash
# The guest dirties RAM so that the move never fits the allowed downtime, --on-stall=throttle: QEMU slows
# the guest's CPU down. At the destination it runs at full speed.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"
QUIET= # it must write, also with QEMU 7.2: what that leaves out is found once the guest is stopped

throttled_by() { # prints percent
	qmp "$DIR/a.mon" '{"execute": "query-migrate"}' |
		python3 -S -c 'import json, sys; print(json.load(sys.stdin).get("cpu-throttle-percentage", 0))'
}

is_throttled() { # AT-LEAST
	[[ $(throttled_by) -ge $1 ]]
}

MEM=256 WITNESS="ram_mb=16 rate=50000" tiny_start a $(second_monitor a)
move_start a local --bwlimit 4M --codec none --max-downtime 1 --on-stall throttle
wait_event 'ev["event"] == "notice" and "slowing the guest down" in ev["text"]' 150
wait_for 60 is_throttled 40 || fail "the guest is not slowed down enough: $(throttled_by) percent"
vmferry switch --no-wait "${GUEST_PID[a]}"
move_wait
guest_verify "$(orders a)"
qmp "$(monitor a)" '{"execute": "query-migrate-capabilities"}' | grep -q '"capability": "auto-converge", "state": true' &&
	fail "the destination would be slowed down in its next migration"
true
