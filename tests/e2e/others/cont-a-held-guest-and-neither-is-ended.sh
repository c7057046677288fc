#!/bin/bash
# After COMMITTED somebody lets the held source QEMU go on (SIGCONT) and resumes the guest, while its agent lives: two copies run, and
# the agent ends neither of them, but says so. With the source's ended by a person, and its
# disk moved away, recover settles the rest.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until listener after-SRC_COMMITTED:stop
kill -CONT "${GUEST_PID[a]}"
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
fault_continue
move_wait 6
assert_result '"somebody has let it go on" in r["reason"]'
assert_eq "$(status_of "$(free_monitor a)")" running "the source's copy"
qemu_dst >/dev/null || fail "the destination's QEMU was ended"

kill_now "${GUEST_PID[a]}"
recover 6 # it has written to its disk
mv "$DIR/a.raw" "$DIR/aside"
recover 0
mv "$DIR/aside" "$DIR/a.raw"
assert_at_destination
