#!/bin/bash
# A disk goes onto a block device that is larger: its guest sees the size that it saw, also when its script starts it again; what is behind is as it
# was. From there it goes on to a file without a size, and before that the guest can be moved.
# takes: 12
. "$(dirname "$0")/../../lib/storage.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"
truncate -s 28M "$DIR/behind"
printf 'behind the disk' | dd of="$DIR/behind" bs=1M seek=26 conv=notrunc status=none
loop=$(losetup -f --show "$DIR/behind" 2>/dev/null) || skip "no loop device here"
at_exit "losetup -d $loop"

size() { qmp "${1:-$DIR/a.mon}" '{"execute": "query-block"}' | python3 -S -c '
import json, sys
print(*[b["inserted"]["image"]["virtual-size"] for b in json.load(sys.stdin) if "d0-dev" in b["qdev"]])'; }

storage_guest
storage "${GUEST_PID[a]}" --disk "d0-dev=$loop"
assert_eq "$(size)" 25165824 "the disk's size"
grep -q "file=$loop,.*size=25165824" "$DIR/src/a.sh" || fail "the script: $(<"$DIR/src/a.sh")"
guest_verify "$DIR/a.orders" blocks

# A guest whose command line still has the old image moves: what its disks are now goes along.
mkdir "$DIR/there"
vmferry migrate "${GUEST_PID[a]}" local --dry-run --disk-dir "$DIR/there" -v &>"$DIR/plan" || fail "$(tail -n 3 "$DIR/plan")"
grep -q "$loop (raw, 24.0 MiB" "$DIR/plan" || fail "the plan: $(<"$DIR/plan")"

guest_order "$DIR/a.orders" quiesce >/dev/null
kill_now "${GUEST_PID[a]}"
guest_from_script
assert_eq "$(size)" 25165824 "its size after a start"
assert_eq "$(dd if="$loop" bs=1M skip=26 count=1 status=none | tr -d '\0')" 'behind the disk' "what is behind it"

storage "${GUEST_PID[a]}" --disk "d0-dev=$DIR/new/a.raw"
! grep -q size= "$DIR/src/a.sh" || fail "the script says a size: $(<"$DIR/src/a.sh")"
assert_eq "$(stat -c %s "$DIR/new/a.raw")" 25165824 "the file's size"
guest_verify "$DIR/a.orders" blocks
assert_eq "$(nodes_in_qemu)" "$(printf '%s\n' "$DIR/new/a.raw" "$DIR/src/b.qcow2" | LC_ALL=C sort | xargs)" "what QEMU has open"
