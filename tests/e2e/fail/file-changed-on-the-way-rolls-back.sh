#!/bin/bash
# A bit of a file that is carried (the kernel) changes on the way under a right checksum, or a bit of its digest does: that file is not
# taken, and the move is rolled back. Without that it is the same there, but for a setuid bit.
. "$(dirname "$0")/../../lib/aftermath.sh"
FILE_DATA=0x8014 FILE_END=0x8015

GUEST_START=guest_start guest_a # a guest with a kernel, which takes many frames
for lie in "control:up:5:lie:$FILE_DATA" "control:up:1:lie:$FILE_END"; do
	to_proxy "$lie"
	move_start a "$DEST" --plaintext --media copy
	move_wait 1
	proxy_has_done_it
	result 'r["reason"]' | grep -q 'is not what the source sent' || fail "the reason: $(result 'r["reason"]')"
	assert_at_source
done
guest_stop a

cp "$TOP/build/guest/vmlinuz" "$DIR/kernel"
chmod 6755 "$DIR/kernel"
guest_launch a -kernel "$DIR/kernel" $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
guest_wait_ready a
to_local
move a local --media copy
cmp "$DIR/kernel" "$TO/kernel"
assert_eq "$(stat -c %a "$TO/kernel")" 755 "its mode at the destination"
guest_verify "$(orders a)"
