#!/bin/bash
# The file system of the destination's journals becomes read-only (errors=remount-ro), and then the move fails: what it has made there goes all the
# same, as the guest stays where it is. All that is left is the journal, which is said, and settled by the next agent that can write to it.
[[ $(id -u) -eq 0 ]] || { echo "skip: only root can mount a file system"; exit 77; }
. "$(dirname "$0")/../../lib/aftermath.sh"
begin_in_own_mounts

mount_it() { # checked and whole
	mount -o loop,errors=remount-ro "$DIR/ext4" "$DIR/dst-state"
	loop=$(findmnt -no SOURCE "$DIR/dst-state")
	loop=${loop##*/}
}

read_only() {
	echo 1 >"/sys/fs/ext4/$loop/trigger_fs_error" || skip "no file system can be made to fail here"
	wait_for 60 eval '! touch "$DIR/dst-state/probe" 2>/dev/null' || fail "the file system can still be written"
}

only_its_journal_is_left() {
	fault_continue 2>/dev/null || true
	move_wait 4
	assert_result "'journal of this move' in str(r['leftovers']) and len(r['leftovers']) == 1 and r['guest'] == 'source'"
	assert_nothing_left "$DST_PID"
	[[ -z $(ls -A "$DIR/dst-run") ]] || fail "left in the runtime directory: $(ls -A "$DIR/dst-run")"
	guest_verify "$(orders a)" blocks
	to_local
	wait_for 60 umount "$DIR/dst-state" || fail "somebody has its files open"
	mount_it
	[[ -n $(unfinished_journals) ]] || fail "there is no journal"
	to_listener
	wait_for 60 eval '[[ -z $(unfinished_journals) ]]' || fail "it is not settled: $(<"$DIR/dst.log")"
	assert_settled
}

truncate -s 64M "$DIR/ext4"
mkfs.ext4 -q "$DIR/ext4"
mkdir "$DIR/dst-state"
mount_it || skip "no file system can be mounted here"
chmod 700 "$DIR/dst-state"
at_exit 'umount -l "$DIR/dst-state"'
guest_a

to_listener
sync "$DIR/dst-state/token"
move_until there disks
read_only
kill -TERM "$MOVE_PID"
only_its_journal_is_left

move_until listener before-DST_PREPARED:stop
read_only
only_its_journal_is_left
assert_result '"cannot write journal" in r["reason"]'
