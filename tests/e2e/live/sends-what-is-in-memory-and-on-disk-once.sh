#!/bin/bash
# Content that a guest has in its page cache travels with its disks, once: on a raw and on a qcow2 disk, while the guest writes to both.
# So it is with shared memory. Without the right to read QEMU's memory, in opaque mode, and when it is told so, it travels twice, and
# nothing else changes.
# takes: 23
. "$(dirname "$0")/../../lib/move.sh"

mkdir "$DIR/src"
find /usr/lib /usr/bin -xdev -type f -size +8k -size -2M -print0 | sort -z >"$DIR/files"
(set +o pipefail; xargs -0 cat <"$DIR/files" 2>/dev/null | head -c 48M >"$DIR/contents")
cp "$DIR/contents" "$DIR/src/one.raw"
truncate -s 96M "$DIR/src/one.raw"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/src/one.raw" "$DIR/src/two.qcow2"
start() { # NAME [QEMU OPTION...]
	MEM=256 WITNESS="ram_mb=32 rate=300 disks=vda,vdb disk_mb=8 disk_rate=20 cache_mb=40 still_mb=16 content=living" \
		guest_start "$1" $(guest_drive d0 "$DIR/src/one.raw" raw) $(guest_drive d1 "$DIR/src/two.qcow2" qcow2) "${@:2}"
}
cached=$((40 * 256))

start a
move a local --bwlimit 24M # so slow that memory would overtake the disks if it did not wait for them
guest_verify "$(orders a)" blocks
assert_result "r['ram']['seed_pages'] > $cached * 0.9 and r['ram']['same_pages'] > $cached * 0.8"

move a local --dedup off
guest_verify "$(orders a)" blocks
assert_result "r['ram']['seed_pages'] == 0"

move a local --codec zstd --channels 5 --multifd 0
guest_verify "$(orders a)" blocks
assert_result "r['ram']['seed_pages'] > $cached * 0.9"

VMFERRY_FAULT=src-no-process-vm:fail move a local
[[ -n ${QUIET:-} ]] || guest_verify "$(orders a)" blocks # QEMU 7.2 leaves out what the guest has written, and nothing else looks
assert_result 'not r["verified"]'
assert_result "r['ram']['seed_pages'] == 0"
grep -q "what is in memory and on disk travels twice" "$DIR/move.log" "$DIR/move.json" || fail "nobody was told"

move a local --ram-mode opaque
[[ -n ${QUIET:-} ]] || guest_verify "$(orders a)" blocks
guest_stop a

"$QEMU_IMG" convert -f raw -O raw "$DIR/contents" "$DIR/src/one.raw"
truncate -s 96M "$DIR/src/one.raw"
start b -object memory-backend-memfd,id=m0,size=256M,share=on -machine memory-backend=m0
move b local
guest_verify "$(orders b)" blocks
assert_result "r['ram']['seed_pages'] > $cached * 0.9"
