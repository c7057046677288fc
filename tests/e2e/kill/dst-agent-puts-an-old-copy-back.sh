#!/bin/bash
# The disk is to replace an old copy that stands at its place, and the destination agent dies while it is copied: the next one gives
# the old copy its name back. As long as the file system is not mounted nothing counts as undone. A move that ends well replaces it.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

head -c 48M /dev/urandom >"$DIR/a.raw"
WITNESS="ram_mb=16 rate=100 disks=vda disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
mkdir "$DIR/d1" "$DIR/d2"
cp "$DIR/a.raw" "$DIR/d1/a.raw"
cp "$DIR/a.raw" "$DIR/d2/a.raw"
sum=$(sha256sum <"$DIR/d1/a.raw")
old=$(stat -c %i "$DIR/d1/a.raw")
listen_dst

has_its_place() {
	[[ $(ls "$DIR/d1" | grep -F a.raw) == a.raw && $(stat -c %i "$DIR/d1/a.raw") == "$old" ]]
}

move_start a "$DST_ADDRESS" --reuse "$DIR/d1/a.raw" --bwlimit 2M
wait_event 'ev["event"] == "progress" and ev["stage"] == "copy"'
[[ $(stat -c %i "$DIR/d1/"a.raw.vmferry-*-old) == "$old" ]] || fail "the old copy is not aside: $(ls "$DIR/d1")"
kill -9 "$DST_PID" "$(pgrep -P "$DST_PID" -x vmferry-dst)"
mv "$DIR/d1" "$DIR/mounted"
mkdir "$DIR/d1" # the mount point
listen_dst --listen "$DST_ADDRESS"
move_wait 4
assert_result 'any("is its file system mounted?" in line for line in r["leftovers"])'
end_process "$DST_PID"
rmdir "$DIR/d1"
mv "$DIR/mounted" "$DIR/d1"
listen_dst --listen "$DST_ADDRESS"
wait_for 60 has_its_place || fail "the old copy is elsewhere: $(ls -i "$DIR/d1")"
assert_eq "$(sha256sum <"$DIR/d1/a.raw")" "$sum" "what is in the old copy"

move a "$DST_ADDRESS" --reuse "$DIR/d2/a.raw"
assert_result 'r["disks"][0]["bytes_kept"] > 30 << 20'
guest_verify "$(orders a)" blocks
assert_eq "$(ls "$DIR/d2" | grep -F a.raw)" a.raw "the old copy is gone"
