#!/bin/bash
# A disk that both hosts see stays where it is: nothing of it travels, one QEMU at a time has it open for writing, and the guest goes on
# there and back. Beside it one that is copied.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

"$QEMU_IMG" create -q -f qcow2 "$DIR/b.qcow2" 8M
guest_a $(guest_drive d1 "$DIR/b.qcow2" qcow2)
inode=$(stat -c %i "$DIR/a.raw")

move a local --disk d0=shared
assert_result '[d["transfer"] for d in plan["disks"]] == ["copy", "shared"]' "the plan"
assert_result 'len(r["disks"]) == 1 and r["verified"]' "what was copied"
assert_result '[f["path"].endswith("b.qcow2") for f in r["deletable"]] == [True]' "what may be deleted"
[[ ! -e $TO/a.raw && -e $TO/b.qcow2 ]] || fail "files at the destination: $(ls "$TO")"
guest_verify "$(orders a)" blocks
assert_eq "$(stat -c %i "$DIR/a.raw")" "$inode" "the disk"
grep -q "$DIR/a.raw" "$TO/a.sh" || fail "what starts the guest again does not name the disk"

to_listener
move a "$DEST" --disk d0=shared
guest_verify "$(orders a)" blocks
