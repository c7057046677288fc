#!/bin/bash
# A storage move that cannot be made is refused with a sentence, before anything is touched: names, places, disks, others' work in the
# guest's QEMU.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/storage.sh"

make_guest_files "$DIR/src"
mkdir "$DIR/new"
truncate -s 8M "$DIR/src/ro.raw" "$DIR/src/odd.raw" "$DIR/src/off.raw"
long=$DIR/src/$(printf 'n%.0s' {1..250})
truncate -s 8M "$long"
"$QEMU_IMG" create -q -f qcow2 "$DIR/src/snap.qcow2" 8M
"$QEMU_IMG" snapshot -c before "$DIR/src/snap.qcow2"
{
	echo "-drive file=$DIR/src/ro.raw,format=raw,if=none,id=d2,readonly=on -device virtio-blk-pci,drive=d2,id=d2-dev"
	echo "-drive file=$DIR/src/snap.qcow2,format=qcow2,if=none,id=d3 -device virtio-blk-pci,drive=d3,id=d3-dev"
	echo "-blockdev driver=file,filename=$DIR/src/off.raw,node-name=p4 -blockdev driver=raw,file=p4,node-name=d4,offset=4096,size=4194304"
	echo "-drive file=$long,format=raw,if=none,id=d5 -device virtio-blk-pci,drive=d5,id=d5-dev"
	echo "-device virtio-blk-pci,drive=d4,id=d4-dev -drive if=ide,index=2,media=cdrom,id=cd0"
} >"$DIR/more"
sed -i "s|-append|$(sed -z 's/\n/ /g' "$DIR/more") -append|" "$DIR/src/a.sh"
guest_from_script

OLD_IMAGES="$DIR/src/a.raw $DIR/src/b.qcow2 $DIR/src/ro.raw $DIR/src/snap.qcow2 $DIR/src/off.raw $long"
files=$(ls -A "$DIR/src" "$DIR/new")
refused() { # SENTENCE [OPTION...]
	storage_start "${GUEST_PID[a]}" "${@:2}"
	storage_wait 3
	[[ $(result 'r["reason"]') == *"$1"* ]] || fail "no '$1' but: $(result 'r["reason"]')"
	assert_eq "$(result 'r["outcome"]')" refused
	assert_eq "$(ls -A "$DIR/src" "$DIR/new")" "$files" "files"
	assert_nothing_unfinished
	assert_nothing_of_ours_in_qemu
}

new=$DIR/new/x
refused "no disk of this guest is called d7 (its node, drive, device or file name); its disks: " --disk "d7=$new"
refused "that disk is named already" --disk "d0-dev=$new" --disk "a.raw=$new.2"
refused "two disks cannot go to" --disk "d0-dev=$new" --disk "d1-dev=$new"
refused "exists already" --disk "d0-dev=$DIR/src/b.qcow2"
refused "exists already" --disk "d0-dev=$DIR/src/a.raw"
ln -s nowhere "$DIR/new/link"
files=$(ls -A "$DIR/src" "$DIR/new")
refused "exists already" --disk "d0-dev=$DIR/new/link"
refused "the directory of" --disk "d0-dev=$DIR/nowhere/x"
refused "is read-only" --disk "d2-dev=$new"
refused "called cd0" --disk "cd0-dev=$new"
refused "removable media" --disk "cd0=$new"
refused "internal snapshots" --disk "d3-dev=$new"
refused "the name is too long to append to" --disk "d5-dev=$new" --old aside
refused "holds more than this disk" --disk "d4-dev=$new" --old remove
echo 'exec qemu-system-x86_64 -name b' >"$DIR/other.sh"
refused "is not a script as vmferry leaves one" --disk "d0-dev=$new" --start-script "$DIR/more"
refused "does not name these disks" --disk "d0-dev=$new" --start-script "$DIR/other.sh"
mkdir -m 700 "$DIR/small"
if [[ $EUID -eq 0 ]] && mount -n -t tmpfs -o size=4M small "$DIR/small" 2>/dev/null; then
	at_exit 'umount "$DIR/small"'
	refused "but $DIR/small has only" --disk "d0-dev=$DIR/small/x"
else
	echo "skipped: no right to mount a tmpfs"
fi
cp "$DIR/src/a.sh" "$DIR/src/a-2.sh"
files=$(ls -A "$DIR/src" "$DIR/new")
refused "both start a guest from these disks" --disk "d0-dev=$new"
rm "$DIR/src/a-2.sh"
files=$(ls -A "$DIR/src" "$DIR/new")

# Work of other clients in the QEMU.
qmp "$DIR/a.mon" '{"execute": "blockdev-add", "arguments": {"driver": "null-co", "node-name": "null", "size": 25165824}}' >/dev/null
qmp "$DIR/a.mon" '{"execute": "blockdev-backup", "arguments": {"job-id": "theirs", "device": "d0", "target": "null", "sync": "full", "speed": 1}}' >/dev/null
storage_start "${GUEST_PID[a]}" --disk "d0-dev=$new"
storage_wait 3
assert_result '"job (theirs, backup)" in r["reason"]'
qmp "$DIR/a.mon" '{"execute": "job-cancel", "arguments": {"id": "theirs"}}' >/dev/null
wait_for 60 eval '[[ $(qmp "$DIR/a.mon" "{\"execute\": \"query-jobs\"}") == "[]" ]]' || fail "their job does not end"

# Another move has it, and this one has it for others.
storage_start "${GUEST_PID[a]}" --disk "d0-dev=$new" --bwlimit 1M
wait_event 'ev["event"] == "progress"' >/dev/null
first=$MOVE_PID
! vmferry migrate "${GUEST_PID[a]}" local --disk-dir "$DIR/new" 2>"$DIR/second.log" || fail "a move begins beside it"
grep -q 'under way' "$DIR/second.log" || fail "$(<"$DIR/second.log")"
! vmferry storage "${GUEST_PID[a]}" --disk "d1-dev=$DIR/new/y" 2>"$DIR/second.log" || fail "another begins beside it"
grep -q 'under way' "$DIR/second.log" || fail "$(<"$DIR/second.log")"
kill -TERM "$first"
storage_wait 1
rm "$DIR/new/link" "$DIR/src/ro.raw" 2>/dev/null

for wrong in "" "--disk d0=relative" "--format vmdk --disk d0=/x" "--old burn --disk d0=/x" "--bwlimit fast --disk d0=/x" "--drop all --disk d0=/x"; do
	status=0
	# shellcheck disable=SC2086
	vmferry storage a $wrong 2>/dev/null || status=$?
	assert_eq "$status" 2 "exit code of 'storage a $wrong'"
done
guest_verify "$DIR/a.orders" blocks
