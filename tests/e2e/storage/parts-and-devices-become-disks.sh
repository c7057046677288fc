#!/bin/bash
# A disk that is a part of a file (offset=, size=), or a block device that a link names, goes to a file or a block device of its own: while its guest runs, and
# when it is shut down. The script shows all of the new disk then; what is around the old one, and behind the new one, is as it was.
# takes: 20
. "$(dirname "$0")/../../lib/storage.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"
mkdir "$DIR/src" "$DIR/new"
head -c 8M /dev/urandom >"$DIR/disk"

device() { # NAME SIZE: sets DEVICE, a link to it
	local loop
	truncate -s "$2" "$DIR/$1.file"
	loop=$(losetup -f --show "$DIR/$1.file" 2>/dev/null) || skip "no loop device here"
	at_exit "losetup -d $loop"
	DEVICE=$DIR/by-id-$1
	ln -s "$loop" "$DEVICE"
}

script() { # OPTIONS OF ITS DISK
	cat >"$DIR/src/a.sh" <<-END_SCRIPT
		#!/bin/sh
		# Starts the guest a.
		cd / || exit
		exec $QEMU -accel tcg -machine q35 -m 64 -name a -display none -nodefaults -serial file:$DIR/a.console \\
		    -serial unix:$DIR/a.orders,server=on,wait=off -qmp unix:$DIR/a.qmp,server=on,wait=off \\
		    -qmp unix:$DIR/a.mon,server=on,wait=off -kernel $TOP/build/guest/tiny.elf -append 'witness.ram_mb=4 witness.rate=0' $1
	END_SCRIPT
	chmod 700 "$DIR/src/a.sh"
}

part() { # prints the options of a disk that is a part of DIR/src/whole
	head -c 12M /dev/urandom >"$DIR/src/whole"
	dd if="$DIR/disk" of="$DIR/src/whole" bs=1M seek=1 conv=notrunc status=none
	md5sum <"$DIR/src/whole" >"$DIR/whole.md5"
	echo "-blockdev driver=file,filename=$DIR/src/whole,node-name=f0 -blockdev driver=raw,node-name=d0,file=f0,offset=1048576,size=8388608" \
		"-device virtio-blk-pci,drive=d0,id=v0"
}

goes() { # VM DISK TO [OPTION...]
	storage "$1" --disk "$2=$3" "${@:4}"
	cmp -n 8388608 "$DIR/disk" "$3" || fail "$3 is another disk"
	grep -Eq "file(name)?=$3(,| |$)" "$DIR/src/a.sh" || fail "the script does not name $3: $(<"$DIR/src/a.sh")"
	! grep -q offset= "$DIR/src/a.sh" || fail "the script shows a part: $(<"$DIR/src/a.sh")"
	assert_nothing_unfinished
}

seen() { # BYTES: by a guest that the script starts
	guest_from_script
	assert_eq "$(qmp "$DIR/a.mon" '{"execute": "query-block"}' | grep -o '"virtual-size": [0-9]*')" "\"virtual-size\": $1" "the disk's size"
}

kept_around() {
	assert_eq "$(md5sum <"$DIR/src/whole")" "$(<"$DIR/whole.md5")" "what is around the disk"
}

# shut down: to a file, and from that onto a larger device, and on to another file
script "$(part)"
storage_start "$DIR/src/a.sh" --disk "disk0=$DIR/new/none" --old remove
storage_wait 3
assert_result '"holds more than this disk" in r["reason"]'
goes "$DIR/src/a.sh" disk0 "$DIR/new/first"
assert_eq "$(stat -c %s "$DIR/new/first")" 8388608 "the file's size"
kept_around
device larger 12M
printf behind | dd of="$DEVICE" bs=1M seek=9 conv=notrunc status=none
head -c 64K /dev/urandom | dd of="$DEVICE" bs=1M seek=4 conv=notrunc status=none # zeros of the disk are zeros there
for file in "$DIR/disk" "$DIR/new/first"; do dd if=/dev/zero of="$file" bs=1M seek=4 count=1 conv=notrunc status=none; done
goes "$DIR/src/a.sh" disk0 "$DEVICE"
grep -q size=8388608 "$DIR/src/a.sh" || fail "the script does not say how much of the device is the disk: $(<"$DIR/src/a.sh")"
assert_eq "$(dd if="$DEVICE" bs=1M skip=9 count=1 status=none | tr -d '\0')" behind "what is behind the disk"
seen 8388608
kill_now "${GUEST_PID[a]}"
goes "$DIR/src/a.sh" disk0 "$DIR/new/second"
! grep -q size= "$DIR/src/a.sh" || fail "the script says a size: $(<"$DIR/src/a.sh")"
[[ $(allocated "$DIR/new/second") -lt 8000000 ]] || fail "what is zero on the device is no hole of the file"
seen 8388608
kill_now "${GUEST_PID[a]}"

# an agent that dies in the middle leaves the old one, or the new one
script "$(part)"
before=$(<"$DIR/src/a.sh")
fault src-copied kill
storage_start "$DIR/src/a.sh" --disk "disk0=$DIR/new/third"
fault_wait
recover 1
assert_eq "$(<"$DIR/src/a.sh")" "$before" "the script"
kept_around
fault src-script-named kill
storage_start "$DIR/src/a.sh" --disk "disk0=$DIR/new/third"
fault_wait
recover 0
cmp "$DIR/disk" "$DIR/new/third" || fail "its disk is another"

# while it runs
script "$(part)"
guest_from_script
storage "${GUEST_PID[a]}" --disk "v0=$DIR/new/fourth" --start-script "$DIR/src/a.sh"
cmp "$DIR/disk" "$DIR/new/fourth" || fail "the disk of a guest that runs is another"
! grep -Eq 'offset=|size=' "$DIR/src/a.sh" || fail "the script shows a part: $(<"$DIR/src/a.sh")"
kill_now "${GUEST_PID[a]}"
seen 8388608
kill_now "${GUEST_PID[a]}"
kept_around

# a part that is not in its file is refused
script "-drive file=$DIR/new/fourth,format=raw,offset=1M,size=8M,if=virtio"
storage_start "$DIR/src/a.sh" --disk "disk0=$DIR/new/none"
storage_wait 3
assert_result '"behind byte 1048576" in r["reason"]'
