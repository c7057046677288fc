#!/bin/bash
# Dirty bitmaps of the guest's own go along: an incremental backup at the destination, onto the full one that was made at the source, is the disk, bit for
# bit; what was not written since is not in it. Raw and qcow2, in the image and in memory, live, quick, warm and back; one that records no more
# stays so. What somebody changes meanwhile does not go along, and that is said.
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/backup.sh"

# The witness writes to the first 8 of 64 MiB; there are contents in half of the rest.
"$QEMU_IMG" create -q -f qcow2 "$DIR/q.qcow2" 64M
"${QEMU_IMG%-img}-io" -f qcow2 -c 'write -P 7 16M 24M' "$DIR/q.qcow2" >/dev/null
head -c 16M /dev/urandom >"$DIR/a.raw"
truncate -s 64M "$DIR/a.raw"
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda,vdb disk_mb=8 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) \
	$(guest_drive d1 "$DIR/q.qcow2" qcow2) $(second_monitor a)
to_local

# the raw disk's bitmap has an area that is not written again; the other disk is written completely during the move
raw=$(node_of "$DIR/a.raw") image=$(node_of "$DIR/q.qcow2")
bitmap_add "$image" weekly '"persistent": true, "disabled": true'
backup_full "$raw" "$DIR/raw.backup" 'in memory'
write_outside d0 48 "$DIR/raw.backup"

check_backups() { # WHEN: the incremental ones make the full ones the disks
	local file node
	for file in raw image; do cp "$DIR/$file.backup" "$DIR/$file.now"; done
	raw=$(node_of "${GUEST_AT[a]}/a.raw") image=$(node_of "${GUEST_AT[a]}/q.qcow2")
	[[ $(bitmap 'in memory') =~ ^"$raw True False 65536 "([0-9]+)$ ]] || fail "$1: the bitmap in memory: '$(bitmap 'in memory')'"
	((BASH_REMATCH[1] > 0 && BASH_REMATCH[1] <= 10 << 20)) || fail "$1: ${BASH_REMATCH[1]} bytes are in it"
	[[ $(bitmap daily) =~ ^"$image True True 131072 "([0-9]+)$ ]] || fail "$1: the bitmap in the image: '$(bitmap daily)'"
	((BASH_REMATCH[1] > 0 && BASH_REMATCH[1] <= 9 << 20)) || fail "$1: ${BASH_REMATCH[1]} bytes are in it"
	[[ $(bitmap weekly) == "$image False True 65536 "* ]] || fail "$1: the one that records no more: '$(bitmap weekly)'"
	assert_eq "$(bitmaps)" "daily in memory weekly" "$1: all bitmaps"
	ask stop >/dev/null
	backup_incremental "$raw" "$DIR/raw.now" 'in memory'
	backup_incremental "$image" "$DIR/image.now" daily
	"$QEMU_IMG" compare -q -U -f raw -F raw "$DIR/raw.now" "${GUEST_AT[a]}/a.raw" || fail "$1: the incremental backup of the raw disk is wrong"
	"$QEMU_IMG" compare -q -U -f raw -F qcow2 "$DIR/image.now" "${GUEST_AT[a]}/q.qcow2" ||
		fail "$1: the incremental backup of the qcow2 disk is wrong"
	ask cont >/dev/null
	guest_verify "$(orders a)" blocks >/dev/null
}

backup_full "$image" "$DIR/image.backup" daily '"persistent": true, "granularity": 131072'
SETTINGS=$(settings_of a)
nothing_of_ours() { # WHEN
	! ask query-named-block-nodes | grep -q '"vmferry-' || fail "$1: nodes of the move are left"
}

move a local "${SLOW_RAM[@]}" --bwlimit 12M # at less it would write faster than that, and the move not end
assert_result '[sorted(d.get("bitmaps", [])) for d in plan["disks"]] == [["in memory"], ["daily", "weekly"]]'
assert_result 'not any("bitmap" in n for n in notices)' "what is said of bitmaps"
check_backups live
assert_settled
nothing_of_ours live
move a local --how quick
check_backups quick

# called off, they are as they were
before=$(bitmaps)
move_until local memory
vmferry cancel --no-wait a >/dev/null
move_wait 1
assert_eq "$(bitmaps)" "$before" "after a move that was called off"
move a local --ram-mode opaque
check_backups opaque

# somebody changes them while it moves, or merges another into one
bitmap_add "$image" failed '"disabled": true'
bitmap_add "$image" other
write_outside d1 56 ""
bitmap_add "$image" last '"persistent": true'
move_until local memory
ask block-dirty-bitmap-enable '{"node": "'"$image"'", "name": "weekly"}' >/dev/null
ask block-dirty-bitmap-remove '{"node": "'"$raw"'", "name": "in memory"}' >/dev/null
ask block-dirty-bitmap-merge '{"node": "'"$image"'", "target": "last", "bitmaps": ["other"]}' >/dev/null
vmferry set a bwlimit=1G >/dev/null
move_wait
assert_result 'sorted(n.split("bitmap ")[1].split(" of disk")[0] for n in notices if "changed or removed the dirty bitmap" in n) == ["in memory", "last", "weekly"]'
assert_eq "$(bitmaps)" "daily failed other" "what nobody has changed"
nothing_of_ours "with bitmaps that somebody has changed"

# the image keeps its own bitmaps
image=${GUEST_AT[a]}/q.qcow2
ask quit >/dev/null || true
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "QEMU does not end"
"$QEMU_IMG" info "$image" | grep -A3 'name: daily\|bitmaps' | grep -q 'daily' || fail "it is not in the image: $("$QEMU_IMG" info "$image")"
"$QEMU_IMG" check -q "$image" || fail "the image is damaged"
