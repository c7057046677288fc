#!/bin/bash
# QEMU makes files that are not beside the disks (its memory's, where nobody needs the name of the source's) or have names that its command line
# does not say (its log's, with its pid in it). A move that is rolled back removes them; after a whole one they are there.
. "$(dirname "$0")/../../lib/aftermath.sh"

mkdir "$DIR/elsewhere"
MACHINE=q35,memory-backend=m0 guest_a -D "$DIR/log-%d" -d guest_errors \
	-object "memory-backend-file,id=m0,size=256M,share=on,mem-path=$DIR/elsewhere/a memory"
rm "$DIR/elsewhere/a memory"
move_until local disks
[[ -e "$DIR/elsewhere/a memory" ]] || fail "QEMU has made no file for its memory"
there=$(qemu_dst)
[[ -e $DIR/log-$there ]] || fail "QEMU has made no log"
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
assert_eq "$(ls -A "$DIR/elsewhere")" "" "what is left of its memory's file"
[[ ! -e $DIR/log-$there ]] || fail "its log is left"
assert_at_source

move a local
assert_eq "$(ls -A "$DIR/elsewhere")" "a memory" "its memory's file"
rm "$DIR/log-${GUEST_PID[a]}"
assert_moved
