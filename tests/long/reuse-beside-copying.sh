#!/bin/bash
# Prints, for N pairs (3) of moves of a guest with one disk of DISK_MB (1024), how long copying it took and how long the way back did, where the old
# copy is all but the same (--reuse auto), and what travelled. LIMIT: what the network carries in a second (110M: 1 Gb/s). It measures, and fails only if
# a move does.
# timeout: 1800
. "$(dirname "$0")/../lib/move.sh"

N=${N:-3} LIMIT=${LIMIT:-110M} DISK_MB=${DISK_MB:-1024}

mkdir "$DIR/src"
head -c "${DISK_MB}M" /dev/urandom >"$DIR/src/a.raw"
MEM=256 WITNESS="ram_mb=16 rate=10 disks=vda disk_mb=8 disk_rate=2" guest_start a $(guest_drive d0 "$DIR/src/a.raw" raw)
for ((i = 1; i <= N; i++)); do
	move a local --bwlimit "$LIMIT"
	result '"copied %6.1f s, %5.0f MiB on the wire" % (r["total_ms"] / 1000, r["bytes_wire"] / 2**20)'
	move_start a local --bwlimit "$LIMIT" --disk-dir "$DIR/src" --reuse auto
	TO=$DIR/src
	move_wait
	result '"reused %6.1f s, %5.0f MiB on the wire" % (r["total_ms"] / 1000, r["bytes_wire"] / 2**20)'
	rm -rf "$DIR/d$MOVES" "$DIR/d$((MOVES - 1))"
done
guest_verify "$(orders a)" blocks
