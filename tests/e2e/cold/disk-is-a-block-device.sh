#!/bin/bash
# A guest that is shut down, and whose disk is a block device: it becomes a file, and goes from that onto another device; while it is copied nobody can mount
# the device. It is called by the name that it was given, as a volume /dev/vg/web is.
# tier: gate
. "$(dirname "$0")/../../lib/cold.sh"
[[ $EUID -eq 0 ]] || skip "loop devices need root"

device() { # NAME SIZE: prints it
	local loop
	truncate -s "$2" "$DIR/$1"
	loop=$(losetup -f --show "$DIR/$1" 2>/dev/null) || skip "no loop device here"
	echo "$loop"
}

script() { # DIRECTORY DISK [FORMAT]
	mkdir -p "$1"
	cat >"$1/a.sh" <<-END
		#!/bin/sh
		cd / || exit
		exec $QEMU -accel tcg -machine q35 -m 64 -name a -display none -nodefaults -drive file=$2${3:+,format=$3},if=virtio
	END
	chmod 700 "$1/a.sh"
}

first=$(device first 24M)
at_exit "losetup -d $first"
second=$(device second 24M)
at_exit "losetup -d $second"
head -c 24M /dev/urandom >"$first"
sync

script "$DIR/src" "$first"
cold_start "$DIR/src" local
cold_wait 3
assert_result '"format=raw" in r["reason"]'

ln -s "$first" "$DIR/web"
script "$DIR/src" "$DIR/web" raw

fault src-set-aside stop
cold_start "$DIR/src" local
fault_wait
! python3 -c 'import os, sys; os.open(sys.argv[1], os.O_RDONLY | os.O_EXCL)' "$first" 2>/dev/null || fail "the device could be mounted meanwhile"
fault_continue
cold_wait
copy=$TO/web
[[ -f $copy ]] || fail "its copy is no file"
cmp "$first" "$copy" || fail "its copy is another"

cold "$TO" local --disk "disk0=$second"
cmp "$second" "$copy" || fail "the device there has something else"
grep -q "file=$second" "$TO/a.sh" || fail "its script does not name the device"
assert_nothing_unfinished
