#!/bin/bash
# Before the switch a user cancels, by word or signal; the new place becomes full; somebody else ends or completes the copy, changes the
# script, or begins a migration: the guest keeps its disks, nothing is left. Its QEMU ends: nothing is left, either. After the switch it is too late.
# timeout: 300
# takes: 30
# tier: gate
. "$(dirname "$0")/../../lib/storage.sh"

storage_guest
SLOW=("--disk" "d0-dev=$DIR/new/a.qcow2" "--disk" "d1-dev=$DIR/new/b.raw" --bwlimit 1M)

copying() { # [OPTION...]
	storage_start "${GUEST_PID[a]}" "${SLOW[@]}" "$@"
	wait_event 'ev["event"] == "progress" and ev["left"] > 0' >/dev/null
}

id_of_job() { # NUMBER
	qmp "$DIR/a.mon" '{"execute": "query-jobs"}' | grep -o "vmferry-[0-9a-f]*-j$1" | head -n 1
}

copying
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
storage_wait 1
assert_result '"cancelled" in r["reason"] and r["outcome"] == "cancelled"'
assert_kept

for signal in INT TERM; do
	beyond_gate || continue # TERM comes below, twice
	copying
	kill -$signal "$MOVE_PID"
	storage_wait 1
	assert_kept
done

# A file that somebody else has put in the new image's place is not ours to remove.
copying
rm "$DIR/new/a.qcow2"
echo theirs >"$DIR/new/a.qcow2"
kill -TERM "$MOVE_PID"
storage_wait 1
assert_eq "$(<"$DIR/new/a.qcow2")" theirs "the file of somebody else"
rm "$DIR/new/a.qcow2"
assert_kept

copying
qmp "$DIR/a.mon" "{\"execute\": \"job-cancel\", \"arguments\": {\"id\": \"$(id_of_job 1)\"}}" >/dev/null
storage_wait 1
assert_result '"b.qcow2 has ended" in r["reason"]'
assert_kept

# The guest is stopped right before requests wait, and while they do.
at() { # POINT
	fault "src-$1" stop
	storage_start "${GUEST_PID[a]}" "${BOTH[@]}" --format qcow2
	fault_wait
}

at ready
echo "# mine" >>"$DIR/src/a.sh"
sed -i 's/^# mine//; /A comment/s/$/ And more./' "$DIR/src/a.sh"
fault_continue
storage_wait 1
assert_result '"changed the script" in r["reason"]'
grep -q 'And more' "$DIR/src/a.sh" || fail "what somebody changed in the script is gone"
assert_kept

at ready
kill_now "$(guard_pid)"
fault_continue
storage_wait 1
assert_result '"guard" in r["reason"]'
assert_kept

if [[ $EUID -eq 0 ]] && mkdir "$DIR/full" && mount -n -t tmpfs -o size=40M full "$DIR/full" 2>/dev/null; then
	at_exit 'umount "$DIR/full"'
	fault src-made stop
	storage_start "${GUEST_PID[a]}" --disk "d0-dev=$DIR/full/a.raw"
	fault_wait
	fallocate -l 35M "$DIR/full/others"
	fault_continue
	storage_wait 1
	assert_result '"No space left" in r["reason"]'
	assert_eq "$(ls "$DIR/full")" others "files where it was full"
	assert_kept
else
	echo "skipped: no right to mount a tmpfs"
fi

# Another file is put in the new image's place, as a restore does: QEMU has written to one that has no name any more.
at ready
cp "$DIR/new/a.qcow2" "$DIR/other"
mv "$DIR/other" "$DIR/new/a.qcow2"
fault_continue
storage_wait 1
assert_result '"put another in its place" in r["reason"]'
rm "$DIR/new/a.qcow2"
assert_kept

at pending
kill -TERM "$MOVE_PID"
fault_continue
storage_wait 1
assert_kept

at committed
vmferry cancel --no-wait "${GUEST_PID[a]}" >"$DIR/cancel.out" 2>&1 &
canceller=$!
kill_at_exit $canceller
kill -TERM "$MOVE_PID"
fault_continue
storage_wait
wait $canceller 2>/dev/null || true
assert_on "$NEW_IMAGES"
rm "$DIR/src/a.raw" "$DIR/src/b.qcow2"
storage "${GUEST_PID[a]}" --disk "a.qcow2=$DIR/src/a.raw" --format raw --old remove
storage "${GUEST_PID[a]}" --disk "b.raw=$DIR/src/b.qcow2" --old remove

# QEMU switches one disk, and not the other, whose copy somebody has ended: what it uses is what the script names.
at committed
qmp "$DIR/a.mon" "{\"execute\": \"job-cancel\", \"arguments\": {\"id\": \"$(id_of_job 0)\"}}" >/dev/null
fault_continue
storage_wait 4
assert_result '"did not switch disk" in r["reason"] and any("others are not" in n for n in r["notes"])'
assert_eq "$(ls "$DIR/new")" b.raw "new images"
assert_eq "$(images_in_script), $(images_in_use)" "$DIR/src/a.raw $DIR/new/b.raw, $DIR/src/a.raw $DIR/new/b.raw" "images that are named, and used"
assert_nothing_of_ours_in_qemu
assert_nothing_unfinished
rm "$DIR/src/b.qcow2"
storage "${GUEST_PID[a]}" --disk "b.raw=$DIR/src/b.qcow2" --old remove

# An old image that somebody has open is not removed: it is listed, and recover tries again.
exec {held}<"$DIR/src/a.raw"
storage_start "${GUEST_PID[a]}" --disk "d0-dev=$DIR/new/a.raw" --old remove
storage_wait 4
assert_result 'r["outcome"] == "moved" and "open in process" in r["leftovers"][0]'
recover 4
exec {held}<&-
recover 0
[[ ! -e $DIR/src/a.raw ]] || fail "the old image is still there"
assert_on "$DIR/new/a.raw $DIR/src/b.qcow2"
storage "${GUEST_PID[a]}" --disk "a.raw=$DIR/src/a.raw" --old remove

# The QEMU ends.
copying
kill_now "${GUEST_PID[a]}"
storage_wait 8
assert_kept gone
guest_from_script
at committed
kill_now "${GUEST_PID[a]}"
fault_continue
storage_wait 8
assert_result 'r["outcome"] == "moved"'
assert_on "$NEW_IMAGES" gone
