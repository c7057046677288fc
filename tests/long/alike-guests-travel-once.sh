#!/bin/bash
# Alike guests: the cost on the wire of the second to the fourth, at 1 Gb/s and with default options, beside the first: of four whose disks
# have 53 % of their blocks in common, each somewhere else, as two installations of Debian with other packages have; and of three clones of
# a template.
# timeout: 1200
. "$(dirname "$0")/../lib/move.sh"
. "$(dirname "$0")/../lib/tiny.sh"

DISK_MB=${DISK_MB:-128}
MIX='
import os, random, sys
mib, common = int(sys.argv[3]), float(sys.argv[4])
old = open(sys.argv[1], "rb").read()[8 << 20:]
blocks = len(old) // 4096
pick = random.Random(sys.argv[2])
out = open(sys.argv[2], "r+b")
out.seek(8 << 20)
for i in range(blocks):
    at = pick.randrange(blocks) * 4096 if sys.argv[5] == "elsewhere" else i * 4096
    out.write(old[at:at + 4096] if pick.random() < common else os.urandom(4096))
'

disk_of() { # NAME COMMON elsewhere|here: the share of its blocks that are some of a's
	truncate -s "${DISK_MB}M" "$DIR/$1.raw"
	python3 -S -c "$MIX" "$DIR/a.raw" "$DIR/$1.raw" "$DISK_MB" "$2" "$3"
}

carried() { # NAME: moves it, and prints the bytes that its disk took on the wire
	MEM=256 WITNESS="ram_mb=4 rate=50 disks=vda disk_mb=4 disk_rate=20" tiny_start "$1" $(guest_drive d0 "$DIR/$1.raw" raw)
	move_start "$1" "$DST_ADDRESS" --disk-dir "$THERE" --bwlimit 1gbit
	TO=$THERE
	move_wait
	guest_verify "$(orders "$1")" blocks >/dev/null
	result 'r["disks"][0]["bytes_wire"]'
}

share() { # NAME FIRST LIMIT: it may take that share of the first's
	carried "$1" >"$DIR/bytes"
	echo "$1: $(<"$DIR/bytes") bytes, $(python3 -S -c "print('%.3f' % ($(<"$DIR/bytes") / $2))") of the first's $2 (at most $3)"
	python3 -S -c "import sys; sys.exit($(<"$DIR/bytes") > $3 * $2)" || fail "guest $1 costs more than that"
}

THERE=$DIR/there
mkdir "$THERE"
listen_dst
head -c "${DISK_MB}M" /dev/urandom >"$DIR/a.raw"
cp "$DIR/a.raw" "$DIR/template.raw" # the disk before guest a wrote to it
carried a >"$DIR/bytes"
first=$(<"$DIR/bytes")
cp "$DIR/template.raw" "$DIR/a.raw"
for name in b c d; do
	disk_of "$name" 0.53 elsewhere
	share "$name" "$first" 0.55
done
for name in e f g; do
	disk_of "$name" 0.98 here
	share "$name" "$first" 0.1
done
