#!/bin/bash
# Each codec, over one connection or four.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=32 rate=2000 disks=vda disk_mb=8" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
for how in "none 4" "lz4 1" "zstd 4" "auto 1"; do
	read -r codec channels <<<"$how"
	move a local --codec "$codec" --channels "$channels"
	wire[MOVES]=$(result 'r["ram"]["bytes_wire"] / (r["ram"]["pages"] + 1)')
	guest_verify "$(orders a)" blocks
done
echo "bytes on the wire per page: none, lz4, zstd, auto: ${wire[*]}"
python3 -S -c 'import sys; none, lz4, zstd = map(float, sys.argv[1:4]); sys.exit(not (lz4 < none and zstd < none))' "${wire[@]}" ||
	fail "lz4 and zstd do not compress: ${wire[*]}"
