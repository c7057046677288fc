#!/bin/bash
# The destination agent dies while it starts QEMU: when there is a process that is none yet, when the journal knows of that, and when QEMU has
# begun and does not answer yet. In no case is there one left that nobody knows of, nor a file.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
for point in dst-qemu-forked dst-qemu-noted dst-qemu-launched; do
	move_until listener "$point"
	move_wait 1
	assert_at_source
done

# ... and as the whole side has died, the next start ends it
move_until listener dst-qemu-launched:stop
kill_now "$DST_PID"
wait_for 60 qemu_dst >/dev/null || fail "no QEMU was started"
wait_for 60 test -S "$TO/a.mon" || fail "QEMU did not begin"
kill_now "$FAULT_PID"
move_wait 4
listen_dst --listen "$DEST"
recover 1
assert_at_source
assert_next_move_succeeds
