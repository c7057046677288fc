#!/bin/bash
# The disks of a guest that stays are brought (--only-disks): a cancel, or the end of the source agent, leaves what has arrived, and `recover --resume` brings
# the rest, and moves nothing; `recover` removes it; somebody who has changed the guest, or migrates it, ends it with a sentence; what else is left there is told, and a guest that shuts down meanwhile goes nowhere.
. "$(dirname "$0")/../../lib/partial.sh"

migration_is() { # STATUS
	[[ $(qmp "$DIR/a.mon" '{"execute": "query-migrate"}') == *"\"status\": \"$1\""* ]]
}

migrated_by_hand() {
	qmp "$DIR/a.mon" '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}' >/dev/null
}

bandwidth() { # BYTES-A-SECOND
	qmp "$DIR/a.mon" '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": '"$1"'}}' >/dev/null
}

copy_crawls() { # Slows the copy, so that its end does not come first.
	copy_begins --only-disks
	vmferry set "${GUEST_PID[a]}" bwlimit=1M >/dev/null
}

it_stays() {
	assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
	assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
}

guest_of_48
to_listener
copy_crawls
VMFERRY_RUNTIME_DIR=$DIR/run vmferry cancel --no-wait "${GUEST_PID[a]}"
move_wait 4
assert_result 'r["outcome"] == "rolled-back" and r["where"] == "source"'
assert_kept
it_stays

copy_crawls
kill_now "$MOVE_PID"
guard_ends
resume 0 -v
assert_result 'r["outcome"] == "disks-copied" and r["disks"][0]["bytes_kept"] > (10 << 20)'
assert_kept
it_stays
recover 0 # nothing is to be settled: the guest is no longer wanted back
[[ ! -e $KEPT ]] || fail "it stays: $(<"$DIR/recover.log")"

# a snapshot, by which what the guest writes now passes us by
copy_crawls
qmp "$DIR/a.mon" '{"execute": "blockdev-snapshot-sync", "arguments": {"device": "d0", "snapshot-file": "'"$DIR/snapshot.qcow2"'", "format": "qcow2"}}' >/dev/null
move_wait 4
assert_result '"another client changed drive" in r["reason"] and r["outcome"] == "rolled-back"'
guest_stop a
guest_of_48
rm "$TO"/*-partial

# somebody removes there what arrives
copy_begins --only-disks
rm "$TO/a.raw"
move_wait 1
assert_result 'r["outcome"] == "rolled-back" and "the destination kept only 0 of them" in r["reason"]'
it_stays

# something in the directory of its sockets there, which is not removed then
copy_begins --only-disks
touch "$(find "$DIR/dst-run" -mindepth 1 -type d)/note"
move_wait 4
assert_result 'r["outcome"] == "rolled-back" and len(r["leftovers"]) == 2 and "--only-disks" in r["reason"]'
it_stays

# somebody's migration, before it and meanwhile: it stands then
bandwidth 4096
migrated_by_hand
move_start a "$DEST" --only-disks
move_wait 3
assert_result '"a migration of this guest is under way" in r["reason"]'
qmp "$DIR/a.mon" '{"execute": "migrate_cancel"}' >/dev/null
wait_for 60 migration_is cancelled
bandwidth 1073741824
copy_crawls
migrated_by_hand
wait_for 60 migration_is completed
move_wait 5
assert_result 'r["outcome"] == "rolled-back" and "migrated away by another client" in r["guest_text"]'
guest_stop a
guest_of_48
rm "$TO"/*-partial

copy_crawls
guest_order "$(orders a)" poweroff >/dev/null
move_wait 8
assert_result 'r["outcome"] == "rolled-back" and r["guest"] == "shut-down" and r["where"] == "nowhere"'
