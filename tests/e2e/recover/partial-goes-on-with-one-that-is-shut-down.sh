#!/bin/bash
# The source agent dies while the files of a guest that is shut down are copied, and `recover --resume` goes on with what has arrived of them. In
# between its images are changed: one is longer then, another shorter than what is kept, and one has holes where there were none.
. "$(dirname "$0")/../../lib/cold.sh"

guest_at_rest
to_listener
cold_start "$DIR/src" "$DEST" --keep-partial 1h --bwlimit 600K
wait_for 60 eval '[[ -e $TO/a.raw && $(written "$TO/a.raw") -ge $((2 << 20)) ]]' || fail "nothing arrives"
wait_for 60 eval '[[ $(written "$TO/base.qcow2") -ge $((1 << 20)) ]]' || fail "nothing arrives"
kill_now "$MOVE_PID"

"$QEMU_IO" -f qcow2 -c 'write -P 0x44 9M 2M' "$DIR/src/b.qcow2" >/dev/null
truncate -s 30000001 "$DIR/src/a.raw"
fallocate -p -o 1M -l 1M "$DIR/src/a.raw"
(cd "$DIR/src" && md5sum $IMAGES) >"$DIR/sums"

status=0
timeout 60 "$BIN/vmferry" recover a --resume --json </dev/null >"$DIR/move.json" 2>"$DIR/recover.log" || status=$?
assert_eq "$status" 0 "exit code of recover --resume: $(tail -n 2 "$DIR/recover.log")"
assert_lies_in "$TO"
assert_nothing_unfinished
assert_result 'next(d["bytes_kept"] for d in r["disks"] if d["to"].endswith("/a.raw")) > 1 << 20'
