#!/bin/bash
# An intact database verifies; a row that the guest or someone outside has spoilt is seen, and is counted once. So are a page of
# the database that is none any more, and an older copy of the whole disk.
# takes: 26
. "$(dirname "$0")/../../lib/guest.sh"

verdict() { # prints how many are wrong
	guest_order "$DIR/a.orders" verify 120 | tee -a /dev/stderr | sed -n 's/.* blocks_wrong=\([0-9]*\)$/\1/p'
}

spoil_image() { # COMMAND...
	qmp "$DIR/a.qmp" '{"execute": "stop"}'
	"$@"
	qmp "$DIR/a.qmp" '{"execute": "cont"}'
}

guest_ext4 "$DIR/a.raw" raw 64M
MEM=256 WITNESS="ram_mb=8 rate=100 db=vda db_rate=0" guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
wait_for 60 has_disk_ops a 200 || fail "the database takes no transactions"
guest_verify "$DIR/a.orders" blocks

guest_order "$DIR/a.orders" "corrupt row"
assert_eq "$(verdict)" 1 "wrong rows after the guest corrupted one"
assert_eq "$(verdict)" 1 "wrong rows, asked again"

guest_order "$DIR/a.orders" quiesce
spoil_image "$TOP/tests/lib/rows.py" "$DIR/a.raw" row
assert_eq "$(verdict)" 2 "wrong rows after one was corrupted in the image"
assert_eq "$(verdict)" 2 "wrong rows, asked again"

guest_order "$DIR/a.orders" quiesce
spoil_image cp "$DIR/a.raw" "$DIR/old.raw"
guest_order "$DIR/a.orders" start
wait_for 60 has_disk_ops a 400 || fail "the database takes no more transactions"
guest_order "$DIR/a.orders" quiesce
assert_eq "$(verdict)" 2 "wrong rows after more transactions"
guest_order "$DIR/a.orders" quiesce
spoil_image cp "$DIR/old.raw" "$DIR/a.raw"
wrong=$(verdict)
[[ $wrong -gt 2 ]] || fail "an older copy of the disk passes for the newest"
guest_stop a

rm "$DIR/a.raw"
guest_ext4 "$DIR/a.raw" raw 64M
MEM=256 WITNESS="ram_mb=8 rate=100 db=vda db_rate=0" guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
wait_for 60 has_disk_ops a 200 || fail "the database takes no transactions"
guest_order "$DIR/a.orders" quiesce
spoil_image "$TOP/tests/lib/rows.py" "$DIR/a.raw" page
said=$(guest_order "$DIR/a.orders" verify 120)
echo "$said"
[[ $said == *'integrity_check'* && $said =~ blocks_wrong=[1-9] ]] || fail "a page that is none passes for one"
