#!/bin/bash
# The file system of the source's journals becomes read-only (errors=remount-ro) while the guest stands still: it is taken back, by
# the agent if that lives and by its guard if not. That nothing can be written there any more is said, and so is what is left.
[[ $(id -u) -eq 0 ]] || { echo "skip: only root can mount a file system"; exit 77; }
. "$(dirname "$0")/../../lib/aftermath.sh"
begin_in_own_mounts

read_only() {
	echo 1 >"/sys/fs/ext4/$loop/trigger_fs_error" || skip "no file system can be made to fail here"
	wait_for 60 eval '! touch "$DIR/fs/state/probe" 2>/dev/null' || fail "the file system can still be written"
}

writable() { # again, checked and whole
	# Not lazily: a guard that is about to end would keep the file system that failed, and a new mount would be that one.
	wait_for 60 umount "$DIR/fs" || fail "somebody has its files open"
	mount -o loop,errors=remount-ro "$DIR/ext4" "$DIR/fs"
	loop=$(findmnt -no SOURCE "$DIR/fs")
	loop=${loop##*/}
}

until_point() { # POINT
	to_listener # a destination whose journals are elsewhere
	sync "$VMFERRY_STATE_DIR/token"
	move_until there "$1:stop"
	read_only
}

truncate -s 64M "$DIR/ext4"
mkfs.ext4 -q "$DIR/ext4"
mkdir "$DIR/fs"
mount -o loop,errors=remount-ro "$DIR/ext4" "$DIR/fs" || skip "no file system can be mounted here"
at_exit 'umount -l "$DIR/fs"'
loop=$(findmnt -no SOURCE "$DIR/fs")
loop=${loop##*/}
mkdir -m 700 "$DIR/fs/state"
export VMFERRY_STATE_DIR=$DIR/fs/state

guest_a
for point in src-pre-switchover src-completed; do
	until_point "$point"
	fault_continue
	move_wait 4
	assert_result 'r["guest"] == "source" and "journal" in r["reason"] + str(r["leftovers"])'
	runs_here || fail "$point: the guest does not run: $(status_of "$(free_monitor a)")"
	guest_verify "$(orders a)" blocks >/dev/null
	writable
	recover 1
	assert_settled
done

until_point src-completed
kill_now "$MOVE_PID"
wait_for 60 runs_here || fail "the guard does not take the guest back"
writable
recover 1
assert_settled
