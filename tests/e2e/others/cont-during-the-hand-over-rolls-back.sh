#!/bin/bash
# Somebody resumes the guest at the source (QMP cont) after QEMU has handed it over and before the agent holds that QEMU:
# it runs on here, and the destination never starts it.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until local src-completed:stop
qmp "$(free_monitor a)" '{"execute": "cont"}' RESUME >/dev/null
fault_continue
move_wait 1
assert_result '"resumed at the source by another client" in r["reason"]'
assert_at_source
assert_next_move_succeeds
