#!/bin/bash
# Agent and guard are gone, the guest stands still, and no socket can be made as the runtime directory is full: recover has it run again
# before it says so. With room again it settles the rest.
. "$(dirname "$0")/../../lib/aftermath.sh"
begin_in_own_mounts

guest_a
move_until local src-pre-switchover:stop
kill_agent_here
mkdir "$DIR/full"
mount -t tmpfs -o nr_inodes=2,mode=700 none "$DIR/full" || skip "no file system can be mounted here"
at_exit 'umount -l "$DIR/full"'
touch "$DIR/full/1"
run=$VMFERRY_RUNTIME_DIR
VMFERRY_RUNTIME_DIR=$DIR/full recover 6
assert_eq "$(status_of "$(free_monitor a)")" running "the guest"
VMFERRY_RUNTIME_DIR=$run recover 1
assert_at_source
