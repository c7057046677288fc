#!/bin/bash
# The guest's probe goes on with a connection of another number when the first one breaks. Its heartbeat tells how many pages and
# blocks it has written: as many as the witness itself says.
. "$(dirname "$0")/../../lib/guest.sh"
. "$TOP/tests/lib/collect.sh"

stat_of() { # NAME
	guest_order "$DIR/a.orders" stats | sed -n "s/.* $1=\([0-9]*\) .*/\1/p"
}

is_connected() {
	[[ -n $(ss -Htn state established "sport = :$COLLECTOR_PORT") ]]
}

collector_start
guest_disk "$DIR/a.raw" raw 64M
MEM=256 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=8 disk_rate=100 $(collector_witness)" guest_start a \
	$(collector_net) $(guest_drive d0 "$DIR/a.raw" raw)
wait_for 60 is_connected || fail "the guest does not connect"
collector_greet "$DIR/a.orders"
wait_for 60 has_disk_ops a 50 || fail "the guest does not write"
guest_order "$DIR/a.orders" quiesce
ram=$(stat_of ram_ops) disk=$(stat_of disk_ops)
collector_stop
assert_heard 't["connection_first"] == t["connection_last"] == 1 and t["records"] > 0'
assert_heard "h['ram_ops'] == $ram > 0 and h['disk_ops'] == $disk > 0"

collector_start -p "$COLLECTOR_PORT"
wait_for 60 is_connected || fail "the guest does not connect again"
collector_greet "$DIR/a.orders"
guest_verify "$DIR/a.orders" blocks
collector_stop
assert_heard 't["connection_first"] >= 2 and t["records"] > 0 and h["received"] > 0'
