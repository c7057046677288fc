#!/bin/bash
# Files behind a guest's memory take room of a file system, at most as the memory comes: where there is too little that is said before.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

mkdir -p "$DIR/shm"
mount -t tmpfs -o size=100M none "$DIR/shm" || skip "no right to mount a tmpfs"
at_exit "umount -l $DIR/shm"

for way in "-mem-path $DIR/shm" \
	"-object memory-backend-file,id=m,size=128M,mem-path=$DIR/shm,share=on -machine memory-backend=m"; do
	MEM=128 WITNESS="ram_mb=16 rate=200" tiny_start a $way
	move_refused "the files behind the guest's memory need 128.* and $DIR/shm at the destination has only" local
	mount -o remount,size=400M "$DIR/shm"
	vmferry check "${GUEST_PID[a]}" local --disk-dir "$TO" >"$DIR/check.out" 2>&1 || fail "there is room: $(<"$DIR/check.out")"
	mount -o remount,size=100M "$DIR/shm"
	guest_stop a
done
