#!/bin/bash
# The source agent dies after COMMITTED, and somebody lets its QEMU, which takes no locks of its disks, go on, and resumes the guest: recover ends neither copy,
# and says what to do. With the destination's gone and a person's word for it, the guest here is the one.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

eval "$(declare -f guest_drive | sed '1s/guest_drive/locked_drive/')"
guest_drive() { locked_drive "$@" | sed 's/format=raw/&,file.locking=off/'; }
guest_a
move_until listener after-SRC_COMMITTED
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source QEMU is held"
kill -CONT "${GUEST_PID[a]}"
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
recover 6
grep -q 'another process has resumed it' "$DIR/recover.log" || fail "recover does not say why: $(cat "$DIR/recover.log")"
assert_eq "$(status_of "$(free_monitor a)")" running "the source's copy"
there=$(qemu_dst) || fail "the destination's QEMU was ended"

recover 6 --peer-is-fenced # the destination can be reached, so it is not gone
assert_eq "$(status_of "$(free_monitor a)")" running "the source's copy"

kill_now "$DST_PID"
end_agents_there
kill_now "$there"
recover 4 --peer-is-fenced
said recover.log 'the guest is now: running on the source'
assert_eq "$(status_of "$(free_monitor a)")" running "the source's copy"
guest_verify "$(orders a)" blocks
