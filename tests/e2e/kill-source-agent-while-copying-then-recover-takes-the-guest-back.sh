#!/bin/bash
# The source agent dies while disks or memory are copied: the guest runs on, a new move says what to do first,
# recover removes everything of the old one.
. "$(dirname "$0")/../lib/aftermath.sh"

cut_off() { # WHEN [OPTION...]
	move_start a "$DEST" "${@:2}"
	"$1"
	kill_now "$MOVE_PID"
	assert_eq "$(status_of "$(free_monitor a)")" running "the guest without its agent"
}

guest_a
to_local
cut_off while_disks "${SLOW_DISKS[@]}"
move_start a local
move_wait 3
assert_result '"vmferry recover a" in r["reason"]'
TO=$DIR/d1
recover 1
assert_at_source

cut_off while_ram "${SLOW_RAM[@]}"
recover 1
assert_at_source

to_listener
cut_off while_disks "${SLOW_DISKS[@]}"
recover 1
assert_at_source

cut_off while_ram "${SLOW_RAM[@]}"
recover 1
assert_at_source
assert_next_move_succeeds
