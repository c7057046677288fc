#!/bin/bash
# Equal blocks do not travel for a guest whose blocks lie elsewhere on the disk of a guest that went before, and which writes to its disk
# meanwhile. The same holds for its qcow2 disk that is brought ahead, and for a clone; a stranger's file is left alone.
# timeout: 300
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

MIX='
import os, sys
old = open(sys.argv[1], "rb").read()[8 << 20:]
half = [os.urandom(4096) if i % 2 else old[(5 * i + 3) % (len(old) // 4096) * 4096:][:4096] for i in range(int(sys.argv[3]) << 8)]
out = open(sys.argv[2], "r+b")
out.seek(8 << 20)
out.write(b"".join(half))
'
disk_of() { # NAME MIB: noise
	head -c "$2M" /dev/urandom >"$DIR/$1.raw"
}
mixed_disk_of() { # NAME MIB: every other block from the 8th MiB on is one of a's, somewhere else
	truncate -s "$(($2 + 12))M" "$DIR/$1.raw"
	python3 -S -c "$MIX" "$DIR/a.raw" "$DIR/$1.raw" "$2"
}
start() { # NAME RATE [FORMAT]: of writes to its disk
	MEM=64 WITNESS="ram_mb=4 rate=50 disks=vda disk_mb=4 disk_rate=$2" tiny_start "$1" $(guest_drive d0 "$DIR/$1.${3:-raw}" "${3:-raw}")
}
to_there() { # NAME [OPTION...]
	move_start "$1" "$DST_ADDRESS" --disk-dir "$THERE" --codec none "${@:2}"
	TO=$THERE
}

THERE=$DIR/there
mkdir "$THERE"
listen_dst
disk_of a 40
start a 200
to_there a --alike on
move_wait
assert_result '"alike" not in plan and r["disks"][0]["bytes_kept"] == 0' "there is no image there"

mixed_disk_of b 24
start b 0
to_there b --alike on
move_wait
assert_result 'plan["alike"]["images"] == 1'
assert_result 'r["disks"][0]["bytes_kept"] >= 10 << 20 and r["disks"][0]["alike"]'
assert_result 'r["disks"][0]["bytes_wire"] < r["disks"][0]["bytes_read"] * 6 / 10'
guest_verify "$(orders b)" blocks
assert_same_content "$DIR/b.raw" raw "$THERE/b.raw" raw
guest_verify "$(orders a)" blocks

# a clone of b as an image, that writes: from b's own disk, which is used there, and its disk alone
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/b.raw" "$DIR/c.qcow2"
start c 20 qcow2
to_there c --alike on --only-disks
move_wait
assert_result 'plan["alike"]["images"] == 2'
assert_result 'r["disks"][0]["bytes_kept"] >= 20 << 20 and r["disks"][0]["bytes_wire"] < r["disks"][0]["bytes_read"] / 4'
to_there c --alike on
move_wait
assert_result '"alike" not in plan and r["disks"][0]["reuse"].endswith("-partial")' "what was brought is gone on with"
guest_verify "$(orders c)" blocks
guest_stop c
assert_sound "$THERE/c.qcow2"

# a clone for which there is a stranger's file only
[[ $EUID == 0 ]] || exit 0
THERE=$DIR/strange
mkdir "$THERE"
cp "$DIR/b.raw" "$THERE/other.raw"
chown 4711 "$THERE/other.raw"
cp --reflink=never "$DIR/b.raw" "$DIR/d.raw"
start d 0
to_there d --alike on
move_wait
assert_result '"alike" not in plan and r["disks"][0]["bytes_kept"] == 0' "a stranger's file is left alone"
