#!/bin/bash
# A guest is not had back over a block device that was written to, or mounted, meanwhile; if it was not, it is.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"

moved_to() {
	move_start a local --revert-within 1h --disk "d0=$DIR/there$1.raw"
	wait_event 'ev["event"] == "notice" and "vmferry revert a" in ev["text"]' >/dev/null
}

had_back_unless_written() { # DEVICE WRITE-TO OFFSET_MIB [WRITE-TO OFFSET_MIB, which is of no matter]
	MEM=64 WITNESS="ram_mb=8 rate=200 disks=vda disk_mb=8 disk_rate=40" tiny_start a $(guest_drive d0 "$1" raw)
	moved_to 1
	[[ $# -eq 3 ]] || printf x | dd of="$4" bs=1 seek=$(($5 << 20)) conv=notrunc status=none
	vmferry revert --no-wait a
	move_wait 1
	guest_verify "$(orders a)" blocks

	moved_to 2
	printf x | dd of="$2" bs=1 seek=$(($3 << 20)) conv=notrunc status=none
	status=0
	timeout 60 "$BIN/vmferry" revert a || status=$?
	assert_eq "$status" 3 "exit code of a revert that the move goes on without"
	wait_event 'ev["event"] == "notice" and "has been written here" in ev["text"]' >/dev/null
	[[ $(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/${GUEST_PID[a]}/status") == T ]] || fail "the source's QEMU is not held"
	vmferry keep --no-wait a
	move_wait
	guest_verify "$(orders a)" blocks
}

truncate -s 48M "$DIR/behind"
loop=$(losetup -f -P --show "$DIR/behind" 2>/dev/null) || skip "no loop device here"
at_exit "end_what_is_left; losetup -d $loop"
had_back_unless_written "$loop" "$loop" 20

# a partition, and who writes to its blocks by way of the whole device
addpart "$loop" 1 2048 49152 && addpart "$loop" 2 53248 8192
wait_for 60 test -b "${loop}p2" || fail "there are no nodes of partitions"
end_process "${GUEST_PID[a]}"
rm "$DIR"/there?.raw
unset "GUEST_AT[a]"
had_back_unless_written "${loop}p1" "$loop" 21 "${loop}p2" 1
