#!/bin/bash
# The source agent dies while memory is copied: the guest runs on; a new move says what to do first; recover removes
# everything of the old one. `list` and `status` do not say that it is being moved.
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/aftermath.sh"

cut_off() {
	move_until there memory
	kill_now "$MOVE_PID"
	assert_eq "$(status_of "$(free_monitor a)")" running "the guest without its agent"
}

guest_a
to_local
cut_off
recover 1
grep -q '^rolled-back: vmferry has undone the guest.s move here, which had been cut off\|^rolled-back: vmferry has removed what the guest.s move, ' "$DIR/recover.log" ||
	fail "recover does not say what it did: $(grep -v '^[0-9]' "$DIR/recover.log")"
assert_at_source

to_listener
cut_off
vmferry list a | grep -q "an earlier move of the guest was cut off" || fail "list: $(vmferry list a)"
! vmferry list a | grep -q "the guest is being moved" || fail "list: $(vmferry list a)"
for command in status list; do
	vmferry $command | grep -q "^not settled: the move of a to $DEST was cut off: vmferry recover a$" || fail "$command: $(vmferry $command)"
done
guard_ends
move_start a local
move_wait 3
assert_result '"vmferry recover a" in r["reason"]'
recover 1
assert_at_source
assert_next_move_succeeds
! vmferry status | grep -q "not settled" || fail "status of moves that are over: $(vmferry status)"
