#!/bin/bash
# Two disks of a busy guest go to other images, raw to qcow2 and qcow2 to raw, and back, while it runs: nothing is lost, its QEMU has no other
# image open and no job left, and its script names the new ones. Owner, mode and holes are kept; what the old images hold then is old.
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/storage.sh"

DISK_RATE=200 storage_guest
storage "${GUEST_PID[a]}" "${BOTH[@]:0:2}" --format qcow2 --dry-run
assert_kept
for value in "--disk d0-dev=$DIR/new/a.qcow2 --format qcow2" "--disk d1-dev=$DIR/new/b.raw --format raw"; do
	# shellcheck disable=SC2086
	storage "${GUEST_PID[a]}" $value
	assert_result 'r["outcome"] == "moved" and not r["leftovers"] and len([n for n in r["notes"] if "was stopped" not in n]) == 1 and not r["verified"] and r["held_ms"] > 0'
	guest_verify "$DIR/a.orders" blocks
done
assert_on "$NEW_IMAGES"
grep -q '^# .* A comment that stays' "$DIR/src/a.sh" || fail "the script is another one: $(<"$DIR/src/a.sh")"
assert_eq "$(stat -c %a "$DIR/src/a.sh" "$DIR/new/a.qcow2" "$DIR/new/b.raw" | xargs)" "750 640 $(stat -c %a "$DIR/src/b.qcow2")" "modes"
[[ $(allocated "$DIR/new/b.raw") -lt 25000000 ]] || fail "the holes were filled: $(allocated "$DIR/new/b.raw")"
before=$(md5sum "$DIR/src/a.raw" "$DIR/src/b.qcow2")
wait_for 60 has_disk_ops a $(($(disk_ops a) + 100)) || fail "the guest does not write any more"
assert_eq "$(md5sum "$DIR/src/a.raw" "$DIR/src/b.qcow2")" "$before" "the old images"

# Both disks at once, at a limit that is changed on the way, to their earlier places; the old images go.
rm "$DIR/src/a.raw" "$DIR/src/b.qcow2"
storage_start "${GUEST_PID[a]}" --disk "a.qcow2=$DIR/src/a.raw" --disk "b.raw=$DIR/src/b.raw" --format raw --bwlimit 1M --old remove
wait_event 'ev["event"] == "progress" and ev["left"] > 0 and len(ev["disks"]) == 2 and ev["second"]' >/dev/null
wait_event 'ev["event"] == "progress" and not ev["second"] and ev["t_ms"] > 0' >/dev/null
vmferry status "${GUEST_PID[a]}" | grep -q copy || fail "status: $(vmferry status "${GUEST_PID[a]}")"
vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null || fail "set"
storage_wait
assert_on "$DIR/src/a.raw $DIR/src/b.raw"
assert_eq "$(ls -A "$DIR/new")" "" "old images that were to go"
guest_order "$DIR/a.orders" quiesce >/dev/null
kill_now "${GUEST_PID[a]}"
guest_from_script
assert_on "$DIR/src/a.raw $DIR/src/b.raw"
