#!/bin/bash
# A guest that is moved warm takes its backing files along, or has them flattened; back again little of its disks travels.
. "$(dirname "$0")/../../lib/warm.sh"

mkdir "$DIR/src"
head -c 24M /dev/urandom >"$DIR/src/a.raw"
(
	cd "$DIR/src"
	"$QEMU_IMG" create -q -f qcow2 base.qcow2 32M
	"$QEMU_IO" -f qcow2 -c 'write -P 0x11 20M 8M' base.qcow2 >/dev/null
	"$QEMU_IMG" create -q -f qcow2 -b base.qcow2 -F qcow2 b.qcow2
	"$QEMU_IO" -f qcow2 -c 'write -P 0x22 2M 12M' b.qcow2 >/dev/null
)
MEM=128 WITNESS="ram_mb=8 rate=100 disks=vda,vdb disk_mb=4 disk_rate=20 button=1" \
	tiny_start a $(guest_drive d0 "$DIR/src/a.raw" raw) $(guest_drive d1 "$DIR/src/b.qcow2" qcow2) $(second_monitor a)
cd "$DIR"

move_and_look() { # FROM [OPTION...]: FROM is where its disks are
	local from=$1
	shift
	fault before-DST_START stop
	move_start a local --how warm "$@"
	[[ $* != *--disk-dir* ]] || TO=$DIR/src
	fault_wait
	assert_same_content "$from/a.raw" raw "$TO/a.raw" raw
	assert_same_content "$from/b.qcow2" qcow2 "$TO/b.qcow2" qcow2
	fault_continue
	move_wait
	wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot there"
	goes_on a
	assert_nothing_unfinished
}

move_and_look "$DIR/src"
assert_eq "$("$QEMU_IMG" info -U "$TO/b.qcow2" | grep -c '^backing file: base.qcow2')" 1 "its backing file"
first=$TO
move_and_look "$first" --disk-dir "$DIR/src" --reuse auto
assert_result 'all(d["bytes_kept"] > 0 for d in r["disks"]) and sum(d["bytes_kept"] for d in r["disks"]) > 8 << 20' "what did not travel"
assert_eq "$(ls "$DIR/src" | grep -F .vmferry- || true)" "" "what is left"
move_and_look "$DIR/src" --chain flatten
assert_eq "$("$QEMU_IMG" info -U "$TO/b.qcow2" | grep -c '^backing file' || true)" 0 "backing files"

# Onto a block device, which is blank again where that comes to nothing.
if [[ $EUID -eq 0 ]] && truncate -s 24M "$DIR/behind" && loop=$(losetup -f --show "$DIR/behind" 2>/dev/null); then
	at_exit "losetup -d $loop"
	move_start a local --how warm --disk "d0=$loop" --hold
	wait_event 'ev["event"] == "notice" and "vmferry switch" in ev["text"]' >/dev/null
	! cmp -s -n $((24 << 20)) "$loop" /dev/zero || fail "nothing is on the device"
	kill -TERM "$MOVE_PID"
	move_wait 1
	cmp -n $((24 << 20)) "$loop" /dev/zero || fail "left on the device"
	from=$(dirname "$(orders a)")
	move_until local before-DST_START:stop --how warm --disk "d0=$loop"
	assert_same_content "$from/a.raw" raw "$loop" raw
	fault_continue
	move_wait
	wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot from the device"
	goes_on a
else
	echo "skipped: no loop device here, so none is written to"
fi
guest_order "$(orders a)" poweroff >/dev/null
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "its QEMU does not end"
assert_sound "$TO/b.qcow2"
