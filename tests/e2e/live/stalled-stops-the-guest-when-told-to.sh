#!/bin/bash
# The guest dirties RAM faster than it can be copied, --on-stall=stop: it is stopped for the rest.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"
QUIET= # it must write, also with QEMU 7.2: what that leaves out is found once the guest is stopped

MEM=256 WITNESS="ram_mb=16 rate=50000" tiny_start a $(second_monitor a)
(qmp "$DIR/a.mon" '{"execute": "query-status"}' STOP >"$DIR/stopped") & # QEMU's word
watcher=$!
move_start a local --bwlimit 4M --codec none --max-downtime 1 --on-stall stop
wait_event 'ev["event"] == "notice" and "stopping it" in ev["text"]' 150 >/dev/null
wait "$watcher" || fail "the guest is not stopped"
move_wait
assert_result 'any("writes as fast as it can be copied" in text and "stopping it" in text for text in notices)'
guest_verify "$(orders a)"
