#!/bin/bash
# A switch happens at once: contents under way, which take a minute here, are not waited for.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"
QUIET= # it must write, also with QEMU 7.2: what that leaves out is found once the guest is stopped

MEM=256 WITNESS="ram_mb=16 rate=20000" tiny_start a
move_start a local --codec none --bwlimit 4M --max-downtime 30
wait_event 'ev["event"] == "notice" and "writes as fast as" in ev["text"]'
vmferry set "${GUEST_PID[a]}" bwlimit=256K
from=$EPOCHREALTIME
vmferry switch --no-wait "${GUEST_PID[a]}"
move_wait
until=$EPOCHREALTIME
[[ $((${until/./} - ${from/./})) -lt 30000000 ]] || fail "the move ended $((${until/./} - ${from/./})) us after switch"
guest_verify "$(orders a)"
