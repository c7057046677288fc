#!/bin/bash
# The file that a qcow2 image keeps its data in counts as a disk of its guest once that is elsewhere: the guest is not had back over one that was written to
# meanwhile, while the image was not, and a person is told that both may be deleted. Nor is one had back over a disk whose time was set back. Nor is one had back whose image's backing file was written to.
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

"$QEMU_IMG" create -q -f qcow2 -o "data_file=$DIR/a.data,data_file_raw=on,preallocation=falloc" "$DIR/a.qcow2" 16M
MEM=64 WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=8 disk_rate=40" tiny_start a $(guest_drive d0 "$DIR/a.qcow2" qcow2)

may_be_had_back() { # OPTION...
	move_start a local "$@" --revert-within 1h
	wait_event 'ev["event"] == "notice" and "vmferry revert a" in ev["text"]' >/dev/null
}

is_had_back() { # OPTION...: one whose files nobody has written
	may_be_had_back "$@"
	vmferry revert --no-wait a
	move_wait 1
	guest_verify "$(orders a)" blocks
}

is_had_back --drop data-file

may_be_had_back --drop data-file
printf x | dd of="$DIR/a.data" bs=1 seek=$((12 << 20)) conv=notrunc status=none
status=0
timeout 60 "$BIN/vmferry" revert a || status=$?
assert_eq "$status" 3 "exit code of a revert that the move goes on without"
wait_event 'ev["event"] == "notice" and "disk '"$DIR"'/a.data has been written here" in ev["text"]' >/dev/null
vmferry keep --no-wait a
move_wait
assert_result "[d['path'] for d in r['deletable']] == ['$DIR/a.qcow2', '$DIR/a.data']"
guest_verify "$(orders a)" blocks

# --- written, and the time of that set back -------------------------------------------------------

GUEST_AT=()
guest_stop a
rm -r "$DIR"/a.* "$DIR"/d?
guest_disk "$DIR/a.raw" raw 16M
MEM=64 WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=8 disk_rate=40" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)

is_had_back

may_be_had_back
touch -r "$DIR/a.raw" "$DIR/then"
printf x | dd of="$DIR/a.raw" bs=1 seek=$((12 << 20)) conv=notrunc status=none
touch -r "$DIR/then" "$DIR/a.raw"
status=0
timeout 60 "$BIN/vmferry" revert a || status=$?
assert_eq "$status" 3 "exit code of a revert over a disk whose time was set back"
wait_event 'ev["event"] == "notice" and "the file of '"$DIR"'/a.raw was changed here" in ev["text"]' >/dev/null
vmferry keep --no-wait a
move_wait
guest_verify "$(orders a)" blocks

# --- a backing file, which stays ------------------------------------------------------------------

guest_stop a
unset "GUEST_AT[a]"
rm -r "$DIR"/a.* "$DIR"/d?
head -c 16M /dev/urandom >"$DIR/base.raw"
"$QEMU_IMG" create -q -f qcow2 -F raw -b base.raw "$DIR/a.qcow2"
MEM=64 WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=8 disk_rate=40" tiny_start a $(guest_drive d0 "$DIR/a.qcow2" qcow2)

is_had_back --chain flatten

may_be_had_back --chain flatten
printf x | dd of="$DIR/base.raw" bs=1 seek=$((12 << 20)) conv=notrunc status=none
status=0
timeout 60 "$BIN/vmferry" revert a || status=$?
assert_eq "$status" 3 "exit code of a revert over another backing file"
wait_event 'ev["event"] == "notice" and "'"$DIR"'/base.raw, on which a disk of the guest is based, was written here" in ev["text"]' >/dev/null
vmferry keep --no-wait a
move_wait
assert_result "[d['path'] for d in r['deletable']] == ['$DIR/a.qcow2']"
guest_verify "$(orders a)" blocks
