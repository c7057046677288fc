#!/bin/bash
# The images of a guest that is shut down go to another directory as they are, with snapshots and holes; its script starts it from there. They
# are compared; who writes to them meanwhile, what does not match, and a running guest end it, and nothing is left. An agent that dies is
# followed by `vmferry recover`. By its command line alone the old images get another name.
# timeout: 400
# tier: gate
. "$(dirname "$0")/../../lib/storage.sh"

make_guest_files "$DIR/src"
mkdir "$DIR/new" "$DIR/sub"
"$QEMU_IMG" snapshot -c before "$DIR/src/b.qcow2"
sums=$(cd "$DIR/src" && md5sum a.raw b.qcow2)
IMAGES=(--disk "a.raw=$DIR/new/a.raw" --disk "b.qcow2=$DIR/new/b.qcow2")
MOVED="$DIR/new/a.raw $DIR/new/b.qcow2"
script=$(<"$DIR/src/a.sh")

storage "$DIR/src/a.sh" "${IMAGES[@]}" --dry-run
assert_kept gone
storage_start "$DIR/src/a.sh" --disk "a.raw=$DIR/new/a.raw" --format qcow2
storage_wait 3
assert_result '"another format while its guest runs" in r["reason"]'
storage_start "$DIR/src/a.sh" --disk "a.raw=$DIR/new/a.raw" --bwlimit 1M
storage_wait 3
assert_result '"--bwlimit is for a guest that runs" in r["reason"]'

fails() { # STATUS POINT ACTION COMMAND
	fault "src-$2" "$3"
	storage_start "$DIR/src/a.sh" "${IMAGES[@]}"
	fault_wait
	eval "$4"
}
fails 1 copied stop 'kill -TERM $MOVE_PID; fault_continue'
storage_wait 1
assert_kept gone
fails 1 copied stop 'printf x | dd of="$DIR/new/a.raw" bs=1 seek=5000000 conv=notrunc status=none; fault_continue'
storage_wait 1
assert_result '"not what was written" in r["reason"]'
assert_kept gone
fails 1 copied stop 'touch "$DIR/src/a.raw"; fault_continue'
storage_wait 1
assert_result '"written to, or replaced" in r["reason"]'
assert_kept gone
assert_eq "$(cd "$DIR/src" && md5sum a.raw b.qcow2)" "$sums" "images"
assert_eq "$(<"$DIR/src/a.sh")" "$script" "script"
for point in making made copying copied script; do
	fails 1 $point kill :
	recover 1
	assert_kept gone
done
for point in script-named committed settling; do
	fails 0 $point kill :
	recover 0
	assert_on "$MOVED" gone
	assert_eq "$(cd "$DIR/new" && md5sum a.raw b.qcow2)" "$sums" "images there"
	rm "$DIR/new/"*
	cp "$DIR/src/a.sh" "$DIR/src/a.sh.new"
	echo "$script" >"$DIR/src/a.sh.new"
	mv "$DIR/src/a.sh.new" "$DIR/src/a.sh"
done

storage "$DIR/src/a.sh" "${IMAGES[@]}" --old remove
assert_result 'r["verified"] and r["outcome"] == "moved" and all(e.get("how", "storage-cold") == "storage-cold" for e in events)'
assert_on "$MOVED" gone
assert_eq "$(cd "$DIR/new" && md5sum a.raw b.qcow2)" "$sums" "images there"
assert_eq "$(ls "$DIR/src")" a.sh "what is where they were"
[[ $(allocated "$DIR/new/a.raw") -lt 20000000 ]] || fail "the holes were filled"
assert_eq "$(stat -c %a "$DIR/new/a.raw")" 640 "mode"

guest_from_script
storage_start "$DIR/src/a.sh" --disk "a.raw=$DIR/sub/a.raw"
storage_wait 3
assert_result '"in use" in r["reason"] and "by its name or pid" in r["reason"]'
kill_now "${GUEST_PID[a]}"

# By its command line.
cd "$DIR/new"
"$BIN/vmferry" storage --disk "a.raw=$DIR/sub/a.raw" --json -- "$QEMU" -name a -drive file=a.raw,format=raw,if=virtio >"$DIR/move.json" ||
	fail "by its line: $(tail -n 1 "$DIR/move.json")"
assert_result 'bool(r["script_unknown"]) and r["verified"]'
[[ $(cd "$DIR/new" && ls | xargs) =~ ^a.raw.moved-[0-9a-f]{8}\ b.qcow2$ ]] || fail "old images: $(ls "$DIR/new")"
cmp "$DIR/new/a.raw.moved-"* "$DIR/sub/a.raw"

# A backing file that is named from where the image lies.
"$QEMU_IMG" create -q -f qcow2 "$DIR/new/base" 8M
(cd "$DIR/new" && "$QEMU_IMG" create -q -f qcow2 -b base -F qcow2 top.qcow2)
status=0
"$BIN/vmferry" storage --disk "top.qcow2=$DIR/sub/top.qcow2" -- "$QEMU" -name a -drive file=top.qcow2,format=qcow2,if=virtio 2>"$DIR/move.log" || status=$?
assert_eq "$status" 3
said move.log 'names its backing file base from where it lies'
"$BIN/vmferry" storage --disk "top.qcow2=$DIR/new/top2.qcow2" --old keep -- "$QEMU" -name a -drive file=top.qcow2,format=qcow2,if=virtio 2>"$DIR/move.log"
assert_sound "$DIR/new/top2.qcow2"
