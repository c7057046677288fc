#!/bin/bash
# A rollback that cannot remove something from the source QEMU, as another client's job holds a dirty bitmap of the move, ends with exit
# code 4, is in the way of no other move, and `vmferry recover` removes it once it can, without doing anything else to the guest.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

mon() { # COMMAND-JSON
	qmp "$(free_monitor a)" "$1"
}

bitmaps() { # prints the names of the move's bitmaps
	mon '{"execute": "query-named-block-nodes"}' | grep -o '"name": "vmferry-[^"]*"' | sort -u | cut -d'"' -f4
}

# A job that reads what the bitmap says, at a byte a second.
hold_bitmap() {
	BITMAP=$(bitmaps)
	[[ $BITMAP =~ ^vmferry-[0-9a-f]{8}-1-0$ ]] || fail "the bitmap is called '$BITMAP'"
	NODE=$(mon '{"execute": "query-block"}' | python3 -S -c 'import json, sys; print([b["inserted"]["node-name"] for b in json.load(sys.stdin)
		if any(x["name"].startswith("vmferry-") for x in b.get("inserted", {}).get("dirty-bitmaps", []))][0])')
	mon '{"execute": "blockdev-add", "arguments": {"driver": "null-co", "node-name": "nowhere", "size": 16777216}}' >/dev/null
	mon '{"execute": "blockdev-backup", "arguments": {"job-id": "job", "device": "'"$NODE"'", "target": "nowhere", "sync": "bitmap",
		"bitmap": "'"$BITMAP"'", "bitmap-mode": "never", "speed": 1}}' >/dev/null
}

let_bitmap_go() {
	mon '{"execute": "block-job-cancel", "arguments": {"device": "job", "force": true}}' BLOCK_JOB_CANCELLED >/dev/null
	mon '{"execute": "blockdev-del", "arguments": {"node-name": "nowhere"}}' >/dev/null
}

has_dirt() {
	mon '{"execute": "query-block"}' | grep -qE '"count": [1-9]'
}

guest_a
move_until listener disks
wait_for 60 has_dirt
hold_bitmap
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null || true # the job alone may have ended the move
move_wait 4
assert_result 'r["guest"] == "source"'
assert_result 'len(r["leftovers"]) == 1 and "at the source: dirty bitmaps" in r["leftovers"][0] and "vmferry recover a" in r["leftovers"][0]'
assert_result "'$BITMAP'.rsplit('-', 2)[0] in r['leftovers'][0]" "the leftover's name"
assert_eq "$(bitmaps)" "$BITMAP"
assert_eq "$(status_of "$(free_monitor a)")" running "the guest after the rollback"

# The bitmap is still held; and a guest that another client has paused since stays paused.
mon '{"execute": "stop"}' >/dev/null
recover 4
said recover.log 'left behind at the source: dirty bitmaps'
assert_eq "$(unfinished_journals | wc -l)" 1 "journals"
assert_eq "$(status_of "$(free_monitor a)")" paused "a guest that was paused after the move"
mon '{"execute": "cont"}' >/dev/null

# Beside what is left another move begins, and is rolled back.
let_bitmap_go
move_until there disks
assert_eq "$(bitmaps | wc -l)" 2 "bitmaps of two moves"
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
assert_eq "$(bitmaps)" "$BITMAP"

# The agents of that time are not needed.
to_local
recover 1
said recover.log 'vmferry has undone what it left'
assert_at_source
recover 0
assert_next_move_succeeds
