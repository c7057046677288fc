#!/bin/bash
# A guest whose disk went elsewhere while it ran, as its QEMU's command line does not know, goes cold by its name: with the disk that it has, and all that it has committed.
# takes: 20
# timeout: 240
. "$(dirname "$0")/../../lib/move.sh"

NAME=now-$$ # other tests' guests are on this machine, too

guest_ext4 "$DIR/a.qcow2" qcow2 64M
MEM=256 WITNESS="ram_mb=8 rate=0 db=vda db_rate=0" guest_start "$NAME" $(guest_drive d0 "$DIR/a.qcow2" qcow2)
mkdir "$DIR/other"
vmferry storage "$NAME" --disk "d0=$DIR/other/b.qcow2" --old remove >"$DIR/out" 2>&1 || fail "storage: $(<"$DIR/out")"
[[ ! -e $DIR/a.qcow2 ]] || fail "its old disk is there still, so this test shows nothing"

move_start "$NAME" local --how cold
wait_event 'ev["event"] == "notice" and "disks are at the destination:" in ev["text"]' >/dev/null
before=$(guest_verify "$(orders "$NAME")" blocks) || fail "the database is damaged"
guest_order "$(orders "$NAME")" poweroff >/dev/null || true
wait_for 120 process_is_gone "$MOVE_PID" || fail "the move does not end"
wait "$MOVE_PID" || fail "the move: $(tail -n 2 "$DIR/move.json")"
assert_result "r['disks'][0]['from'] == '$DIR/other/b.qcow2'"
guest_adopt "$NAME" "$(result 'r["started_pid"]')"
wait_for 120 grep -aqs '^witness ready' "$TO/$NAME.console" || fail "it does not boot there: $(tail -n 3 "$TO/$NAME.console")"
after=$(guest_verify "$(orders "$NAME")" blocks) || fail "the database is damaged there"
rows() { sed -n 's/.* blocks_checked=\([0-9]*\) .*/\1/p' <<<"$1"; }
[[ $(rows "$before") -gt 0 && $(rows "$after") -ge $(rows "$before") ]] || fail "rows are gone: $before, $after"
