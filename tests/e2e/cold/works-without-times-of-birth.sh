#!/bin/bash
# The destination's file system knows no time of birth (as NFS, and ext4 with small inodes): a confined agent knows its own files all the same, by
# their handles. A guest that is shut down arrives; a live move that is called off leaves nothing; one that is cut off keeps what has arrived.
. "$(dirname "$0")/../../lib/partial.sh"
[[ $EUID -eq 0 ]] || skip "mounting needs root"
PATH=$PATH:/usr/sbin:/sbin
mkdir "$DIR/fs"
truncate -s 96M "$DIR/image"
mke2fs -q -F -t ext4 -I 128 "$DIR/image" 2>/dev/null
mount -o loop "$DIR/image" "$DIR/fs" 2>/dev/null || skip "no file system can be mounted here"
at_exit 'umount "$DIR/fs"'
[[ $(stat -c %W "$DIR/fs") -eq 0 ]] || skip "this file system has times of birth"

guest_of_48
to_listener
onto_it() { # [OPTION...]
	move_start a "$DEST" --disk-dir "$DIR/fs/live" --bwlimit 8M "$@"
	TO=$DIR/fs/live
	wait_for 60 has_arrived "$TO/a.raw" 16 || fail "nothing arrives"
}
mkdir "$DIR/fs/live"
onto_it
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
assert_result '"leftovers" not in r'
assert_eq "$(ls -A "$TO")" "" "files at the destination"

onto_it "${KEEPING[@]}"
kill_now "$MOVE_PID"
guard_ends
wait_for 60 eval 'ls "$TO"/*-partial >/dev/null 2>&1' || fail "nothing is kept: $(ls -A "$TO")"
assert_kept
recover 1
assert_eq "$(ls -A "$TO")" "" "files at the destination, after recover"

printf '#!/bin/sh\nexec %s -accel tcg -machine q35 -m 64 -name c -display none -nodefaults -drive file=%s,format=raw,if=virtio\n' \
	"$QEMU" "$DIR/c.raw" >"$DIR/c.sh"
chmod 700 "$DIR/c.sh"
head -c 8M /dev/urandom >"$DIR/c.raw"
mkdir "$DIR/fs/cold"
vmferry migrate "$DIR/c.sh" "$DEST" --how cold --disk-dir "$DIR/fs/cold" >"$DIR/cold.out" 2>&1 || fail "cold: $(<"$DIR/cold.out")"
cmp "$DIR/c.raw" "$DIR/fs/cold/c.raw"
