#!/bin/bash
# The database of a busy guest is sound and has all its rows in a guest that boots from any of the points of its replica: none has fewer than the guest had when
# the one before it was made, as what the database has promised is on its disk.
# timeout: 600
. "$(dirname "$0")/../../lib/replica.sh"

POINTS=5
rows() { # SOCKET: prints how many were checked
	local said
	said=$(guest_verify "$1" blocks) || fail "the database is damaged: $said"
	sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$said"
}

WITNESS="ram_mb=8 rate=100 db=vda db_rate=0"
guest_ext4 "$DIR/a.raw" raw 64M
MEM=256 guest_start "$A" $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor "$A")
wait_for 180 has_disk_ops "$A" 300 || fail "the database takes no transactions"
replica_add --keep "$POINTS"
declare -a AT_LEAST=()
for ((i = 2; i <= POINTS; i++)); do
	AT_LEAST[i]=$(rows "$DIR/$A.orders")
	ops=$(disk_ops "$A")
	wait_for 120 has_disk_ops "$A" $((ops + 100)) || fail "the database takes no transactions any more"
	sync
done

# the guest rests: where the machine is busy so are those that boot
rests "$A"
for ((i = POINTS; i >= 1; i--)); do
	replica test "$A" --point "$i" >"$DIR/out" 2>&1 || fail "test: $(cat "$DIR/out")"
	wait_for 180 grep -aq 'witness ready' "$STORE/test/$A.console" || fail "point $i does not boot: $(tail -n 3 "$STORE/test/$A.console")"
	found=$(rows "$STORE/test/$A.orders")
	[[ $found -ge ${AT_LEAST[i]:-1} ]] || fail "point $i has $found rows, and the guest had ${AT_LEAST[i]} before it was made"
	replica test "$A" --end >"$DIR/out" 2>&1 || fail "end: $(cat "$DIR/out")"
done
