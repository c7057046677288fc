#!/bin/bash
# A point that fails, as what is to be sent cannot be written here, or what arrives there, or as somebody ends its job, or cancels it, harms no write of the guest's and
# no point that is there; the next one has all that was written. Nothing is left of it. Two points of a guest are not made at once.
# timeout: 400
. "$(dirname "$0")/../../lib/replica.sh"

mkdir "$DIR/spool"
if ! mount -t tmpfs -o size=24M none "$DIR/spool" 2>/dev/null; then
	skip "no right to mount a tmpfs"
fi
at_exit "umount $DIR/spool"
mount -t tmpfs -o size=200M none "$THERE"
at_exit "umount $THERE"

qemu_io() { # DEVICE COMMAND: on the disk of that device, as if the guest did it
	qmp "$DIR/$A.mon" "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"qemu-io -d /machine/peripheral/$1/virtio-backend \\\"$2\\\"\"}}" >"$DIR/qemu-io"
	! grep -q Error "$DIR/qemu-io" || fail "$2: $(<"$DIR/qemu-io")"
}

fails() { # PATTERN [STATUS (1)]
	try_sync
	has_failed "$@"
}

has_failed() { # PATTERN [STATUS]
	assert_eq "$SYNCED" "${2:-1}" "exit code of a sync that fails ($(tail -n 3 "$DIR/sync.log"))"
	grep -qE -- "$1" "$DIR/sync.json" || fail "the reason is not '$1': $(tail -n 1 "$DIR/sync.json")"
	assert_points_are_of_one_moment
	writes_on
	nothing_is_left
	assert_eq "$(find "$DIR/spool" -name '.vmferry-*')" "" "files that are left in the spool"
}

all_is_there() {
	sync
	assert_eq "$(of_primary 'p["whole"]')" False "everything was compared"
	rests "$A"
	sync
	assert_point_is_exact
	goes_on "$A"
}

fill() { # DIRECTORY
	! cat /dev/zero 2>/dev/null >"$1/filler" || fail "$1 is not full"
}

truncate -s 64M "$DIR/big"
truncate -s 20M "$DIR/solid"
replica_start -blockdev "driver=raw,node-name=big,discard=unmap,file.driver=file,file.discard=unmap,file.filename=$DIR/big" -device virtio-blk-pci,drive=big,id=big0 \
	-blockdev "driver=raw,node-name=solid,file.driver=file,file.filename=$DIR/solid" -device virtio-blk-pci,drive=solid,id=solid0
fill "$THERE"
status=0
replica add "$A" local --disk-dir "$THERE" --spool "$DIR/spool" >"$DIR/out" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of add where there is no room"
grep -q "the point's disks need 2[0-9].* MiB but .* has only 0 B free" "$DIR/out" || fail "add does not say what is missing: $(<"$DIR/out")"
assert_eq "$(ls "$THERE")" filler "what is there"
rm "$THERE/filler"
replica_add --spool "$DIR/spool"
fill "$DIR/spool"
fails 'too little room'
VMFERRY_FAULT=src-spool-room:fail fails 'cannot be (written|copied)'
rm "$DIR/spool/filler"
all_is_there

# the same there: what certainly does not fit is not begun; or there is room as it begins, and none any more at the moment, as the agent stands there
fill "$THERE"
writes_on
fails 'at the destination: the point.s disks need .* free' 3
grep -q 'refused' "$DIR/sync.json" || fail "it began: $(tail -n 1 "$DIR/sync.json")"
truncate -s -24M "$THERE/filler" # of all that is compared, which is more, only differences need room
sync verify
rm "$THERE/filler"
stand_at_moment() {
	rm -f "$DIR/stopped"
	VMFERRY_FAULT=src-moment-copied:stop:$DIR/stopped replica sync "$A" --json -v >"$DIR/sync.json" 2>"$DIR/sync.log" &
	syncing=$!
	kill_at_exit $syncing
	wait_for 60 test -s "$DIR/stopped" || fail "nobody comes to the moment"
}
stand_at_moment
fill "$THERE"
kill -CONT "$(<"$DIR/stopped")"
SYNCED=0
wait "$syncing" || SYNCED=$?
has_failed 'No space left'
rm "$THERE/filler"
all_is_there

# fewer points are to be kept: that is so there, too, though there is no room for the next
one_is_there() {
	[[ $(slots | wc -l) -eq 1 ]]
}
[[ $(slots | wc -l) -gt 1 ]] || fail "there is one point only"
fill "$THERE"
truncate -s -12M "$THERE/filler"
qemu_io solid0 'write -P 7 0 20M'
replica set "$A" keep=1 >/dev/null
fails 'at the destination: the point.s disks need .* free' 3
wait_for 60 one_is_there || fail "points stay: $(slots)"
assert_points_are_of_one_moment
rm "$THERE/filler"
replica set "$A" keep=12 >/dev/null
sync verify

# ended while it copies
stand_at_moment
kill -TERM "$(<"$DIR/stopped")"
kill -CONT "$(<"$DIR/stopped")"
wait_for 60 process_is_gone "$syncing" || fail "the sync does not end"
writes_on
assert_points_are_of_one_moment
nothing_is_left
all_is_there
guest_verify "$DIR/$A.orders" blocks >/dev/null

# discarded blocks need no room, so they do not keep the plan from being taken
fill "$THERE"
truncate -s -12M "$THERE/filler"
qemu_io big0 'discard 0 64M' # 64 MiB are dirty then, and have no data
try_sync
[[ $SYNCED -ne 3 ]] || fail "it is refused: $(tail -n 1 "$DIR/sync.json")"

# but it does here; a verify, which compares everything, needs none, and then it is over
has_failed 'written or discarded .*vmferry replica verify'
rm "$THERE/filler"
sync verify
all_is_there
