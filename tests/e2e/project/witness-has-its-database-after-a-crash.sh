#!/bin/bash
# A guest that ends in the midst of its transactions finds its database sound when it starts again, with all that was there.
. "$(dirname "$0")/../../lib/guest.sh"

rows() { # prints how many were checked
	local said
	said=$(guest_verify "$DIR/a.orders" blocks) || fail "the database is damaged"
	sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$said"
}

start() {
	MEM=256 WITNESS="ram_mb=8 rate=0 db=vda db_rate=0" guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
}

guest_ext4 "$DIR/a.raw" raw 64M
start
wait_for 180 has_disk_ops a 300 || fail "the database takes no transactions"
before=$(rows)
kill -KILL "${GUEST_PID[a]}"
wait_for 60 process_is_gone "${GUEST_PID[a]}"
start
after=$(rows)
echo "rows: $before before, $after after"
[[ $before -gt 0 && $after -ge $before ]] || fail "rows are gone"
wait_for 60 has_disk_ops a 10 || fail "the database takes no more transactions"
