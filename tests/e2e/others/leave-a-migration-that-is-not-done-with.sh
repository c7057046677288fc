#!/bin/bash
# QEMU has cancelled somebody's migration, but not done with it, as its socket still connects. It refuses ours so late that its status would
# be `setup` for good: the move takes that back, and leaves QEMU's settings alone, as changing them now may end QEMU. `vmferry recover`
# puts them back once QEMU has done, and until then another move is refused before it begins.
# takes: 20
. "$(dirname "$0")/../../lib/aftermath.sh"

mon() { # COMMAND-JSON
	qmp "$(free_monitor a)" "$1"
}

migration() { # prints its status
	mon '{"execute": "query-migrate"}' | grep -o '"status": "[^"]*"' | cut -d'"' -f4
}

has_something_of_one() {
	mon '{"execute": "query-yank"}' | grep -q '"type": "migration"'
}

# QEMU before 10, and 11.1, call it `cancelling`, and begin no other one beside.
leave_a_migration() {
	rm -f "$DIR/full"
	listener full.py "$DIR/full"
	mon "{\"execute\": \"migrate\", \"arguments\": {\"uri\": \"unix:$DIR/full\"}}" >/dev/null
	mon '{"execute": "migrate_cancel"}' >/dev/null
	[[ $(migration) != cancelling ]] || skip "this QEMU has one migration at a time"
	assert_eq "$(migration)" cancelled "somebody's migration"
	has_something_of_one || fail "QEMU has done with it"
}

let_it_go() {
	end_process "$LISTENER"
	wait_for 60 eval '! has_something_of_one' || fail "QEMU does not clean up"
}

guest_a
move_until local src-migrate:stop "${SLOW_RAM[@]}"
leave_a_migration
fault_continue
move_wait 4
assert_result '"yank instance" in r["reason"] and r["guest"] == "source"'
assert_result 'len(r["leftovers"]) == 1 and "migration settings" in r["leftovers"][0] and "has not done with" in r["leftovers"][0]'
assert_eq "$(migration)" cancelled "what QEMU left of the one that it refused"
[[ $(settings_of a) != "$SETTINGS" ]] || fail "the settings were put back too early"
recover 4
let_it_go
recover 1
assert_at_source

leave_a_migration
move_start a local
move_wait 3
assert_result '"has not done with its last migration" in r["reason"]'
let_it_go
assert_at_source
assert_next_move_succeeds
