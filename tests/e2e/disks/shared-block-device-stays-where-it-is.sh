#!/bin/bash
# A block device that both hosts see stays where it is by the user's word, and by that alone: the guest goes on with it there, and back.
. "$(dirname "$0")/../../lib/aftermath.sh"

[[ $EUID -eq 0 ]] || skip "root is needed for a loop device"
head -c 16M /dev/urandom >"$DIR/volume"
loop=$(losetup --show -f "$DIR/volume") || skip "no loop device can be had"
at_exit "losetup -d $loop"
ln -s "$loop" "$DIR/lv"
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/lv" raw) $(second_monitor a)
SETTINGS=$(settings_of a)
to_local

move a "$DEST" --disk d0=shared
assert_result '[(d["transfer"], d["by_word"], d["from"]) for d in plan["disks"]] == [("shared", True, "'"$DIR/lv"'")]' "the plan"
assert_result 'r["disks"] == [] and r["deletable"] == []' "the result"
assert_settled
grep -q "file=$DIR/lv" "$TO/a.sh" || fail "what starts the guest again does not name the device"
to_listener
move a "$DEST" --disk d0=shared
assert_settled

# the name leads to another device once all is promised: the guest does not begin to run on that, and goes on with its own
head -c 16M /dev/zero >"$DIR/other"
other=$(losetup --show -f "$DIR/other") || skip "no second loop device can be had"
at_exit "losetup -d $other"
move_until listener before-DST_START:stop --disk d0=shared
ln -sfn "$other" "$DIR/lv"
fault_continue
move_wait 6
assert_result "'$DIR/lv' in r['reason'] and 'another file has the name' in r['reason']" "why"
ln -sfn "$loop" "$DIR/lv"
recover 1
guest_verify "$(orders a)" blocks
cmp "$DIR/other" /dev/zero -n 16M || fail "the other device was written to"
to_listener

# without that word it is copied
move a "$DEST" --disk "d0=$DIR/copy"
assert_result '[d["transfer"] for d in plan["disks"]] == ["copy"]' "the plan"
guest_verify "$(orders a)" blocks
guest_stop a

# by its name the destination has a file
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/lv" raw) $(second_monitor a)
GUEST_AT=()
head -c 16M /dev/zero >"$DIR/file"
DST_ON=(unshare --mount --propagation private bash -c 'mount --bind "$0/file" "$1" && exec "${@:2}"' "$DIR" "$loop")
to_listener
mkdir "$DIR/there"
status=0
"$BIN/vmferry" migrate "${GUEST_PID[a]}" "$DEST" --disk-dir "$DIR/there" --disk d0=shared </dev/null >"$DIR/move.out" 2>"$DIR/move.err" || status=$?
assert_eq "$status" 3 "exit code ($(tail -n 1 "$DIR/move.err"))"
grep -q "the destination has no block device $DIR/lv, where disk $DIR/lv is to stay" "$DIR/move.err" || fail "$(<"$DIR/move.err")"
guest_verify "$(orders a)" blocks
