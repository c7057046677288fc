#!/bin/bash
# A guest with a device that QEMU cannot migrate: a live move refuses it, and names --how warm. That copies its disks while it runs and writes, has
# it shut down, and it boots at the other end: with all that it wrote before, on raw and on qcow2.
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/warm.sh"

warm_guest
to_listener

move_start a "$DEST"
move_wait 3
said move.json 'how warm'
assert_at_source

# The guest between the two: shut down here, and not yet running there.
fault before-DST_START stop
to_listener
warm --at +1h
wait_event 'ev["event"] == "notice" and re.search("is told to shut down at .*vmferry switch a: now", ev["text"])' >/dev/null
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
fault_wait
assert_same_disks
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the state of the source QEMU"
fault_continue
move_wait
assert_arrived
assert_result 'r["how"] == "warm" and r["verified"] and r["shutdown_ms"] > 0 and r["downtime_ms"]["total"] > 0 and not r["forced"]'
vmferry report "$DIR/move.json" -o "$DIR/move.html"
grep -q ', was shut down in <strong>.*and began to boot there after' "$DIR/move.html" || fail "the page does not say how it went"
! grep -q '>memory</th>' "$DIR/move.html" || fail "the page tells of memory that did not travel"
[[ $ACCEL == kvm ]] || assert_result 'all(d["rounds"] >= 2 for d in r["disks"][:2])' "rounds of its disks"

# From there on, by what vmferry left there; it reboots while it is copied, which is its own business.
to_local
SETTINGS=$(settings_of a)
warm --hold
wait_event 'ev["event"] == "notice" and "vmferry switch a" in ev["text"]' >/dev/null
qmp "$(free_monitor a)" '{"execute": "system_reset"}' RESET >/dev/null
wait_for 60 eval '[[ $(boots a) == 2 ]]' || fail "it does not boot again"
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait
assert_arrived
