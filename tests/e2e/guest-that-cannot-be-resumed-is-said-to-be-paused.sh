#!/bin/bash
# The destination gives a guest back that was COMMITTED to it, and the source's QEMU refuses to go on, as something else has locked its
# disk meanwhile: exit code 5, and the guest stands there unharmed until somebody says cont.
. "$(dirname "$0")/../lib/aftermath.sh"

guest_a
fault after-SRC_COMMITTED stop
to_local
move_start a local
fault_wait
kill_now "$(qemu_dst)"
"$TOP/build/qemu/bin/qemu-nbd" --persistent --format=raw --socket="$DIR/other" "$DIR/a.raw" </dev/null >"$DIR/other.log" 2>&1 &
OTHER=$!
kill_at_exit "$OTHER"
# it listens before it has the image
wait_for 20 eval '"$QEMU_IMG" info "nbd+unix:///?socket=$DIR/other" &>/dev/null' || fail "the image cannot be locked: $(<"$DIR/other.log")"
fault_continue
move_wait 5
assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "source-paused"'
assert_result 'any("paused at the source" in n and "lock" in n for n in notices)'
[[ $(status_of "$(free_monitor a)") != running ]] || fail "the guest runs"

end_process "$OTHER"
qmp "$(free_monitor a)" '{"execute": "cont"}' >/dev/null
assert_at_source
assert_next_move_succeeds
