#!/bin/bash
# A guest that powers itself off while it is moved, in a QEMU that stays (-no-shutdown): a move that takes its memory along ends, and says so; the guest
# is at the source, off as its QEMU was told, and nothing is at the destination. What takes no memory along goes on, and says how the guest is.
# timeout: 300
. "$(dirname "$0")/../../lib/storage.sh"

mkdir "$DIR/new"
guest_disk "$DIR/a.raw" raw 32M
guest() {
	MEM=256 WITNESS="ram_mb=64 disks=vda disk_mb=8 button=1" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a) -no-shutdown
}

is_off() {
	[[ $(status_of "$DIR/a.mon") == shutdown ]]
}

powers_off() { # returns once it has
	guest_order "$(orders a)" poweroff || true
	wait_for 60 is_off || fail "the guest does not power off: $(status_of "$DIR/a.mon")"
}

stays_off() {
	move_wait 1
	assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "shut-down" and r["where"] == "source"' "it is at the source, shut down"
	assert_result '"shut down by itself" in r["reason"] and "shut down by itself" in r["guest_text"]' "the reason"
	is_off || fail "it was left $(status_of "$DIR/a.mon")"
	assert_nothing_left
	guest_stop a
}

# while it is copied
guest
move_start a local --bwlimit 5M --codec none
wait_for 60 is_moving_with a 's["ram_round"] >= 1' || fail "RAM is not copied"
powers_off
stays_off

# held: all of it is there but the last pages
guest
move_start a local --hold
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
powers_off
stays_off

# stopped first: it is off before its move can stop it
guest
fault src-stop-noted stop
move_start a local --how quick
fault_wait
powers_off
fault_continue
stays_off

# the same by the power button, from outside
guest
move_start a local --bwlimit 5M --codec none
wait_for 60 is_moving_with a 's["ram_round"] >= 1' || fail "RAM is not copied"
qmp "$DIR/a.mon" '{"execute": "system_powerdown"}' STOP >/dev/null
wait_for 60 is_off || fail "the guest does not power off"
stays_off

# its disk alone, to another host
guest
move_start a local --only-disks --bwlimit 1M --codec none
wait_for 60 is_moving_with a 's["stage"] == "copy"' || fail "it is not copied"
powers_off
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
move_wait 0
assert_result 'r["outcome"] == "disks-copied" and r["guest"] == "shut-down" and "shut down by itself" in r["guest_text"]' "words for the guest"
is_off || fail "it was left $(status_of "$DIR/a.mon")"
guest_stop a

# nobody has heard of it: the agent stands, and is dead then
guest
to_listener
move_start a "$DEST" --hold
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
kill -STOP "$MOVE_PID"
powers_off
kill -KILL "$MOVE_PID"
guard_ends
recover 1
said recover.log 'shut down by itself during the move; its QEMU stays'
is_off || fail "it was left $(status_of "$DIR/a.mon")"
guest_stop a

# its disk alone, to another place of this host
guest
storage_start "${GUEST_PID[a]}" --disk "d0-dev=$DIR/new/a.raw" --bwlimit 1M
wait_event 'ev["event"] == "stage" and ev["stage"] == "copy"' >/dev/null
powers_off
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
storage_wait
assert_result "'shut down' in r['guest_text'] and r['exit_code'] == 0" "words for the guest"
is_off || fail "it was left $(status_of "$DIR/a.mon")"
guest_stop a
