#!/bin/bash
# Devices without an id, whose disks get other images: each is carried as the disk that it is, though the guest's command line tells them by their order alone. So it is
# where a device is written in JSON; beside others, which QEMU makes first, nothing is guessed.
# timeout: 300
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_with() { # DEVICE of d0, of d1
	head -c 12M /dev/urandom >"$DIR/a.raw"
	"$QEMU_IMG" create -q -f qcow2 "$DIR/b.qcow2" 12M
	MEM=128 WITNESS="ram_mb=16 rate=200 disks=vda,vdb disk_mb=4 disk_rate=20" tiny_start a \
		-blockdev "driver=file,filename=$DIR/a.raw,node-name=f0" -blockdev driver=raw,file=f0,node-name=d0 -device "$1" \
		-blockdev "driver=qcow2,node-name=d1,file.driver=file,file.filename=$DIR/b.qcow2" -device "$2" $(second_monitor a)
	rm -rf "$DIR/new"
	mkdir "$DIR/new"
	"$BIN/vmferry" storage "${GUEST_PID[a]}" --disk "d0=$DIR/new/a.qcow2" --format qcow2 >"$DIR/storage.log" 2>&1 || fail "$(<"$DIR/storage.log")"
	"$BIN/vmferry" storage "${GUEST_PID[a]}" --disk "d1=$DIR/new/b.raw" --format raw >"$DIR/storage.log" 2>&1 || fail "$(<"$DIR/storage.log")"
}

in_json() { # NODE
	echo '{"driver": "virtio-blk-pci", "drive": "'"$1"'"}'
}

moves() {
	move a local
	assert_result "sorted(d['from'] for d in r['disks']) == ['$DIR/new/a.qcow2', '$DIR/new/b.raw']"
	assert_eq "$(grep -oE "drive that had [^ ]*/(a.raw|b.qcow2) has [^ ]*/new/(a.qcow2|b.raw) now" "$DIR/move.json" | sed 's,[^ ]*/,,g' | sort -u)" \
		"drive that had a.raw has a.qcow2 now
drive that had b.qcow2 has b.raw now" "what it says of them"
	guest_verify "$(orders a)" blocks
	kill_now "${GUEST_PID[a]}"
	unset 'GUEST_AT[a]'
}

guest_with virtio-blk-pci,drive=d0 virtio-blk-pci,drive=d1
moves
guest_with "$(in_json d0)" "$(in_json d1)"
moves
guest_with "$(in_json d0)" virtio-blk-pci,drive=d1
! vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/new" >"$DIR/out" 2>&1 || fail "the order of devices was guessed: $(<"$DIR/out")"
grep -q 'does not stand in the guest' "$DIR/out" || fail "it is refused for something else: $(<"$DIR/out")"
