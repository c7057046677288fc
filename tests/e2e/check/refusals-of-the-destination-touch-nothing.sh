#!/bin/bash
# The destination refuses a guest that it cannot take, with the reason, before anything is touched at either end.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

refused() { # REASON DEST [OPTION...]
	find "$DIR" ! -path "$DIR/a.console" ! -path "$DIR/*.json" ! -path "$DIR/*.log" -printf '%P %s\n' | sort >"$TOP/build/tmp/before.$$"
	move_refused "$@"
	assert_result 'r["outcome"] == "refused" and r["guest"] == "source"'
	rmdir "$TO" 2>/dev/null || true
	find "$DIR" ! -path "$DIR/a.console" ! -path "$DIR/*.json" ! -path "$DIR/*.log" -printf '%P %s\n' | sort |
		diff "$TOP/build/tmp/before.$$" - || fail "files have changed"
}
at_exit "rm -f $TOP/build/tmp/before.$$"

guest_a
mkdir "$DIR/taken" "$DIR/small" "$DIR/few"
touch "$DIR/taken/a.raw"
mount -t tmpfs -o size=8M none "$DIR/small" || skip "no right to mount a tmpfs"
at_exit "umount $DIR/small"
mount -t tmpfs -o nr_inodes=10 none "$DIR/few"
at_exit "umount $DIR/few"

to_local
refused "$DIR/taken/a.raw exists already at the destination" local --disk-dir "$DIR/taken"
refused "$DIR/nowhere/there does not exist at the destination" local --disk-dir "$DIR/nowhere/there"
refused 'the disks need 1.*MiB but .* has only 8' local --disk-dir "$DIR/small"
refused 'the disks need files in .*/few, .* only 9 more' local --disk-dir "$DIR/few"
refused 'the name of .* is too long .* at most 230 bytes' local --disk "d0=$DIR/taken/$(printf 'n%.0s' {1..231})"
mkdir "$DIR/grows"
if chattr +a "$DIR/grows" 2>/dev/null; then # the file system has that attribute
	at_exit "chattr -a $DIR/grows"
	refused "$DIR/grows at the destination does not let files be renamed" local --disk-dir "$DIR/grows"
fi
ON=(bash -c 'ulimit -f 8192 && exec "$@"' -) # KiB
refused 'a.raw is to have 16.* may write files of 8.* at most' local
ON=()
refused 'cannot connect to 127.0.0.1:1: Connection refused' 127.0.0.1:1
assert_settled
assert_next_move_succeeds
