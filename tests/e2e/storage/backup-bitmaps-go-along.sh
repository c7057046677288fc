#!/bin/bash
# Dirty bitmaps of a backup tool go along to a disk's new image: an incremental backup, onto the full one that was made of the old image, is the disk, bit for
# bit, and what was not written since is not in it. In memory and in the image; one that records no more stays so; the old image keeps its own if the
# attempt is undone. What cannot go along is refused, or left behind by --drop=bitmaps.
. "$(dirname "$0")/../../lib/storage.sh"
. "$(dirname "$0")/../../lib/backup.sh"

make_guest_files "$DIR/src"
mkdir "$DIR/new"
sed -i 's|d1-dev|&,iothread=io0 -object iothread,id=io0|' "$DIR/src/a.sh"
guest_from_script
raw=$(node_of "$DIR/src/a.raw")
bitmap_add d1 weekly '"persistent": true, "disabled": true'
backup_full "$raw" "$DIR/raw.backup" "in memory"
backup_full d1 "$DIR/image.backup" daily '"persistent": true, "granularity": 131072'
write_outside d0 20 "$DIR/raw.backup"

check_backups() { # NODE-A NODE-B WHEN
	assert_eq "$(bitmaps)" "daily in memory weekly" "$3: all bitmaps"
	[[ $(bitmap 'in memory') =~ ^"$1 True False 65536 "([0-9]+)$ ]] || fail "$3: the bitmap in memory: '$(bitmap 'in memory')'"
	((BASH_REMATCH[1] > 0 && BASH_REMATCH[1] <= 10 << 20)) || fail "$3: ${BASH_REMATCH[1]} bytes are in it"
	[[ $(bitmap daily) =~ ^"$2 True True 131072 "([0-9]+)$ ]] || fail "$3: the bitmap in the image: '$(bitmap daily)'"
	((BASH_REMATCH[1] > 0 && BASH_REMATCH[1] <= 9 << 20)) || fail "$3: ${BASH_REMATCH[1]} bytes are in it"
	assert_eq "$(bitmap weekly)" "$2 False True 65536 0" "$3: the one that records no more"
	cp "$DIR/raw.backup" "$DIR/raw.now"
	cp "$DIR/image.backup" "$DIR/image.now"
	ask stop >/dev/null
	backup_incremental "$1" "$DIR/raw.now" "in memory"
	backup_incremental "$2" "$DIR/image.now" daily
	read -r -a on <<<"$(images_in_use)"
	for i in 0 1; do
		"$QEMU_IMG" compare -q -U -f raw "$DIR/$([[ $i == 0 ]] && echo raw || echo image).now" "${on[i]}" ||
			fail "$3: the incremental backup of ${on[i]} is wrong"
	done
	ask cont >/dev/null
	guest_verify "$DIR/a.orders" blocks >/dev/null
}

refused() { # SENTENCE [OPTION...]
	storage_start "${GUEST_PID[a]}" "${@:2}"
	storage_wait 3
	[[ $(result 'r["reason"]') == *"$1"* ]] || fail "no '$1' but: $(result 'r["reason"]')"
}

refused "the dirty bitmap daily of disk $DIR/src/b.qcow2 is to outlive its QEMU" "${BOTH[@]}" --format raw
storage "${GUEST_PID[a]}" "${BOTH[@]}" --format qcow2 --dry-run
assert_result '[sorted(d.get("bitmaps", [])) for d in plan["disks"]] == [["in memory"], ["daily", "weekly"]]'
check_backups "$raw" d1 "before" raw

# at its last moment it is undone, and later in it there is no way back
fault src-pending
storage_start "${GUEST_PID[a]}" "${BOTH[@]}" --format qcow2
fault_wait
guard_ends
assert_kept
check_backups "$raw" d1 "undone" raw
fault src-committed
storage_start "${GUEST_PID[a]}" "${BOTH[@]}" --format qcow2
fault_wait
guard_ends
assert_on "$NEW_IMAGES"
raw=$(node_of "$DIR/new/a.qcow2") image=$(node_of "$DIR/new/b.raw")
check_backups "$raw" "$image" "finished by the guard"

# a bitmap that is made while the disks are copied goes along, too; in memory also to a raw image
rm "$DIR/src/a.raw" "$DIR/src/b.qcow2"
storage_start "${GUEST_PID[a]}" --disk "a.qcow2=$DIR/src/a.raw" --format raw --bwlimit 1M
wait_event 'ev["event"] == "progress"' >/dev/null
bitmap_add "$raw" late
bitmap_add d0 "by its drive"
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
storage_wait
raw=$(node_of "$DIR/src/a.raw")
for name in late "by its drive"; do
	[[ $(bitmap "$name") == "$raw True False 65536 "* ]] || fail "one that is made meanwhile: '$(bitmap "$name")'"
	ask block-dirty-bitmap-remove '{"node": "'"$raw"'", "name": "'"$name"'"}' >/dev/null
done
check_backups "$raw" "$image" "to a raw one" "*"

# the image keeps its bitmaps, which are not taken for sound after a crash
ask quit >/dev/null || true
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "QEMU does not end"
"$QEMU_IMG" info "$DIR/new/b.raw" | grep -q 'name: daily' || fail "it is not in the image: $("$QEMU_IMG" info "$DIR/new/b.raw")"
"$QEMU_IMG" check -q "$DIR/new/b.raw" || fail "the image is damaged"
guest_from_script
kill_now "${GUEST_PID[a]}"
guest_from_script
refused "is not sound any more" --disk "b.raw=$DIR/src/b.qcow2"
storage "${GUEST_PID[a]}" --disk "b.raw=$DIR/src/b.qcow2" --drop bitmaps
assert_eq "$(bitmaps)" "" "those that were left behind"
