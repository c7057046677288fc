#!/bin/bash
# A guest that writes nothing at all, as no clock ever interrupts it: no rate is ever measured, and it is switched over all the same, whatever
# carries its memory.
# takes: 6
. "$(dirname "$0")/../../lib/move.sh"
QEMU_THERE= # a microvm has no versions: another QEMU need not load it

silent_start() { # NAME
	truncate -s 64M "$DIR/$1.img"
	"$QEMU" -name "$1" -M microvm,x-option-roms=off,isa-serial=off,pit=off,pic=off,rtc=off -m 128 -accel tcg -nodefaults -no-user-config \
		-nographic -serial null -kernel "$TOP/build/guest/tiny.elf" -qmp "unix:$DIR/$1.qmp,server=on,wait=off" \
		-drive "id=vda,format=raw,file=$DIR/$1.img,if=none" -device virtio-blk-device,drive=vda </dev/null >"$DIR/$1.stderr" 2>&1 &
	guest_adopt "$1" $!
	wait_for 60 monitor_answers "$DIR/$1.qmp" || fail "its QEMU does not start: $(<"$DIR/$1.stderr")"
}

silent_moves() { # NAME [OPTION...]
	silent_start "$1"
	MOVE_S=60 move "$1" local "${@:2}"
	assert_result 'r["outcome"] == "migrated"'
	assert_eq "$(status_of "$(monitor "$1")")" running "state at the destination"
	end_process "${GUEST_PID[$1]}"
}

silent_moves a
silent_moves b --ram-mode opaque
silent_moves c --how quick
