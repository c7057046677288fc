#!/bin/bash
# A Linux that obeys its power button, with a database that takes transactions until it shuts down: where it boots it finds all of them. One whose plug is
# pulled in the midst of them finds all that was committed.
# timeout: 240
. "$(dirname "$0")/../../lib/move.sh"

rows() { # prints how many were checked
	local said
	said=$(guest_verify "$(orders a)" blocks) || fail "the database is damaged"
	sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$said"
}

for disk in raw qcow2; do
	[[ $disk == raw ]] && button=1 options=() || button= options=(--shutdown-timeout 1 --force)
	unset 'GUEST_AT[a]'
	guest_ext4 "$DIR/a.$disk" $disk 64M
	MEM=256 WITNESS="ram_mb=8 rate=0 db=vda db_rate=0${button:+ button=1}" guest_start a $(guest_drive d0 "$DIR/a.$disk" $disk)
	wait_for 60 has_disk_ops a 300 || fail "the database takes no transactions"
	before=$(rows)
	move a local --how warm "${options[@]}"
	assert_result 'r["forced"] == '"$([[ $disk == raw ]] && echo False || echo True)"
	wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot there: $(tail -n 3 "$TO/a.console")"
	after=$(rows)
	echo "$disk: rows: $before before, $after after"
	[[ $before -gt 0 && $after -ge $before ]] || fail "rows are gone"
	wait_for 60 has_disk_ops a 10 || fail "the database takes no more transactions"
	guest_stop a
done
