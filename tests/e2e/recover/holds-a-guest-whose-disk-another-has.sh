#!/bin/bash
# The destination gives a guest back that was COMMITTED to it, and another program has opened its disk here meanwhile, without a lock: that may be the guest, so its memory
# of then does not go on over it. Exit code 6, and it is held until that program has ended and vmferry recover is called.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move_until local after-SRC_COMMITTED:stop
kill_now "$(qemu_dst)"
another_has_the_disk off
fault_continue
move_wait 6
assert_result 'r["where"] == "undecided" and "is open here in process" in r["reason"]'
assert_eq "$(state_of "${GUEST_PID[a]}")" T "the source's QEMU is held"

end_process "$OTHER"
recover 1
guard_ends
assert_at_source
assert_next_move_succeeds
