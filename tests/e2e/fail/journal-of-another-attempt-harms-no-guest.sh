#!/bin/bash
# A whole destination side died, somebody cleared away what it had left, and another guest runs at the same paths, its disk even with the
# inode that the other had. The agent that starts there finds the old journal, and removes nothing of that guest.
# covered in the gate: unit/test-own-file
[[ $(id -u) -eq 0 ]] || { echo "skip: only root can mount a file system"; exit 77; }
. "$(dirname "$0")/../../lib/aftermath.sh"
begin_in_own_mounts
PATH=$PATH:/usr/sbin:/sbin

inode_of() { # FILE
	stat -c %i "$1"
}

# ext4 gives an inode's number away at once.
make_with_inode() { # FILE INODE
	local n
	for n in {1..40}; do
		truncate -s 16M "$TO/try$n"
		[[ $(inode_of "$TO/try$n") -ne $2 ]] || break
	done
	[[ $(inode_of "$TO/try$n") -eq $2 ]] || fail "no file got the inode $2"
	mv "$TO/try$n" "$1"
	rm -f "$TO"/try*
}

truncate -s 128M "$DIR/ext4"
mke2fs -q -F -t ext4 "$DIR/ext4"
mkdir "$DIR/d1"
mount -o loop "$DIR/ext4" "$DIR/d1" || skip "no file system can be mounted here"
at_exit 'umount -l "$DIR/d1"'

guest_a
move_until listener disks
wait_for 60 eval 'test -S "$TO"/.vmferry-*/a.mon' || fail "no QEMU at the destination: $(ls "$TO")"
session=$(agent_dst)
qemu=$(qemu_dst)
inode=$(inode_of "$TO/a.raw")
kill_now "$DST_PID"
kill_now "$session"
kill_now "$qemu"
move_wait 4

find "$TO" -mindepth 1 -delete
make_with_inode "$TO/a.raw" "$inode"
MEM=128 WITNESS="ram_mb=8 rate=10 disks=vda disk_mb=4 disk_rate=20" tiny_start b $(guest_drive d0 "$TO/a.raw" raw) \
	-qmp "unix:$TO/a.qmp,server=on,wait=off" -qmp "unix:$TO/a.mon,server=on,wait=off" -serial "file:$TO/a.console"
before=$(cd "$TO" && ls -AiU | sort)

listen_dst --listen "$DEST"
assert_eq "$(cd "$TO" && ls -AiU | sort)" "$before" "files of the guest that runs there"
assert_eq "$(status_of "$TO/a.mon")" running
assert_eq "$(status_of "$TO/a.qmp")" running
guest_verify "$(orders b)" blocks
recover 1
guest_stop b
find "$TO" -mindepth 1 -delete
assert_at_source
