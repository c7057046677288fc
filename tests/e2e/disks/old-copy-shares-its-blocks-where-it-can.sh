#!/bin/bash
# On a file system whose files can share blocks (XFS) what a disk takes from the old copy that it replaces is not written again, and takes no
# room: in the end it is the disk's alone. A backup that stays as it is stays one of its own: nothing is shared with that.
. "$(dirname "$0")/../../lib/move.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"
PATH=$PATH:/usr/sbin:/sbin
command -v mkfs.xfs >/dev/null || fail "there is no mkfs.xfs: scripts/install-deps"
truncate -s 512M "$DIR/xfs"
mkfs.xfs -q "$DIR/xfs"
mkdir "$DIR/there"
loop=$(losetup -f --show "$DIR/xfs" 2>/dev/null) || skip "no loop device here"
at_exit "umount -l '$DIR/there' 2>/dev/null; losetup -d $loop"
mount "$loop" "$DIR/there" 2>/dev/null || skip "XFS cannot be mounted here"

used_mb() { # Used MiB of that file system.
	sync -f "$DIR/there"
	df -B1M --output=used "$DIR/there" | tail -n 1
}
written_mb() { # to it, since it was made
	sync -f "$DIR/there"
	awk '{ print int($7 / 2048) }' "/sys/block/${loop##*/}/stat"
}
shared_mb() { # FILE: prints how much of it other files have, too
	filefrag -v -b4096 "$1" | awk '/shared/ { gsub(/[:.]/, " "); n += $6 } END { print int(n / 256) }'
}

find /usr/lib /usr/bin -xdev -type f -size +8k -size -2M -print0 | sort -z >"$DIR/files"
(set +o pipefail; xargs -0 cat <"$DIR/files" 2>/dev/null | head -c 48M >"$DIR/a.raw")
truncate -s 96M "$DIR/a.raw"
cp --sparse=always "$DIR/a.raw" "$DIR/there/backup"
MEM=256 WITNESS="ram_mb=32 rate=100 disks=vda disk_mb=8 disk_rate=20 cache_mb=40 still_mb=16 content=living" \
	guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
sum=$(sha256sum "$DIR/there/backup")
before=$(used_mb)
to() { # DIRECTORY [OPTION...]
	move_start a local --disk-dir "$@"
	TO=$1
}

mkdir "$DIR/there/one"
to "$DIR/there/one" --reuse "$DIR/there/backup"
move_wait
guest_verify "$(orders a)" blocks
assert_result 'r["disks"][0]["bytes_kept"] > 30 << 20'
assert_eq "$(sha256sum "$DIR/there/backup")" "$sum" "the backup is left alone"
shared=$(shared_mb "$TO/a.raw") grown=$(($(used_mb) - before))
echo "of the disk $shared MiB are shared with the backup, and $grown MiB were taken"
[[ $shared -eq 0 && $grown -gt 40 ]] || fail "of the disk $shared MiB are shared, and $grown MiB were taken"

guest_order "$(orders a)" quiesce
mkdir "$DIR/elsewhere"
to "$DIR/elsewhere"
move_wait
before=$(used_mb) written=$(written_mb)
to "$DIR/there/one" --reuse auto
move_wait
guest_verify "$(orders a)" blocks
assert_result 'r["disks"][0]["bytes_kept"] > 40 << 20'
took=$(($(used_mb) - before)) written=$(($(written_mb) - written))
echo "replacing itself took $took MiB, and $written MiB were written"
[[ $took -lt 16 && $written -lt 24 ]] || fail "replacing itself took $took MiB, and $written MiB were written"
assert_eq "$(ls -A "$TO" | grep -F .vmferry- || true)" "" "what is left"
