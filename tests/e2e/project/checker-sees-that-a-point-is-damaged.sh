#!/bin/bash
# The checker of a replica's points (tests/lib/points.py) sees points that are not whole or not of one moment, also in a point that was
# found good before, or in the images below it.
. "$(dirname "$0")/../../lib/base.sh"
set -euo pipefail
test_begins

QEMU_IMG=$TOP/build/qemu/bin/qemu-img
STORE=$DIR/vm1.replica
BLOCK=4096 COUNT=16
mkdir -p "$STORE"/points/00000{1,2}

put() { # FILE PAIR: in its last block, as tests/guest/witness-pair.c writes it
	python3 -S -c 'import struct, sys
n = int(sys.argv[1])
sys.stdout.buffer.write(struct.pack("<512Q", 0x2772696170277277, *((n * 511 + i * i) % 2**64 for i in range(1, 512))))' "$2" |
		dd of="$STORE/points/$1" bs=$BLOCK seek=$((COUNT - 1)) conv=notrunc status=none
}

spoil() { # FILE OFFSET: a byte, and its time of modification stays
	touch -r "$STORE/points/$1" "$DIR/time"
	printf X | dd of="$STORE/points/$1" bs=1 seek="$2" conv=notrunc status=none
	touch -r "$DIR/time" "$STORE/points/$1"
}

says() { # STATUS [WORDS]
	local status=0
	python3 -S "$TOP/tests/lib/points.py" "$STORE" "$QEMU_IMG" "$DIR/seen" >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" "$1" "status of points.py ($(<"$DIR/out"))"
	[[ -z ${2:-} ]] || grep -q -- "$2" "$DIR/out" || fail "not '${2:-}': $(<"$DIR/out")"
}

is_known() { # the clock of files has gone on
	says 0 && [[ $(grep -c . "$DIR/seen") -ge $1 ]]
}

says 1 'there is no point'
for i in 0 1; do
	truncate -s $((BLOCK * COUNT)) "$STORE/points/000001/disk$i.raw"
	put "000001/disk$i.raw" 7
	"$QEMU_IMG" create -q -f qcow2 -F raw -b "../000001/disk$i.raw" "$STORE/points/000002/disk$i.qcow2"
done
echo '{"number": 1, "disks": [{"file": "disk0.raw", "format": "raw"}, {"file": "disk1.raw", "format": "raw"}]}' >"$STORE/points/000001/point.json"
echo '{"number": 2, "disks": [{"file": "disk0.qcow2", "format": "qcow2"}, {"file": "disk1.qcow2", "format": "qcow2"}]}' >"$STORE/points/000002/point.json"
touch "$DIR/seen"
says 0
spoil 000001/disk0.raw $((BLOCK * COUNT - 9)) # a moment after it was found good
says 1 '000001 is not whole'
put 000001/disk0.raw 7
wait_for 60 is_known 2
says 0

spoil 000001/disk1.raw $((BLOCK * COUNT - 9))
says 1 '000001 is not whole: half a block'
put 000001/disk1.raw 9
says 1 '000001 is not of one moment: 7 and 9'
put 000001/disk1.raw 7
spoil 000002/disk0.qcow2 0
says 1 '000002 is not whole'
printf Q | dd of="$STORE/points/000002/disk0.qcow2" bs=1 conv=notrunc status=none

# a point that is being merged is no point, but the next one's images are above it
sed -i 's/^{/{"merging": "000002", /' "$STORE/points/000001/point.json"
wait_for 60 is_known 3
spoil 000001/disk0.raw $((BLOCK * COUNT - 9))
says 1 '000002 is not whole'
