#!/bin/bash
# A guest that has put itself into the background, and whose disk has a name without a directory, moves live with --attach: its QEMU is put back into
# the directory that it was started in. Nothing is lost. Without --attach, and by --dry-run without, it stays where it is. One whose names are whole, or
# lead to another file, is left where it is.
# takes: 15
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

start() { # NAME DISK
	mkdir "$DIR/$1"
	"$QEMU_IMG" create -q -f qcow2 "$DIR/$1/d.qcow2" 64M
	(cd "$DIR/$1" && env ${env_of_sudo:+-u PWD} "$QEMU" -name "$1" -accel tcg -m 256 -machine q35 -display none -nodefaults -no-user-config -daemonize \
		-kernel "$TOP/build/guest/tiny.elf" -append "$(WITNESS="ram_mb=32 rate=200 disks=vda disk_mb=16 disk_rate=20" witness_words)" \
		-serial "file:$DIR/$1.console" -serial "unix:$DIR/$1.orders,server=on,wait=off" -pidfile "$DIR/$1/pid" \
		-drive "file=$2,if=virtio,format=qcow2" ${3:+-qmp "unix:$DIR/$1.qmp,server=on,wait=off"}) || fail "QEMU does not start"
	guest_adopt "$1" "$(<"$DIR/$1/pid")"
	guest_wait_ready "$1"
}

is_in() { # NAME DIRECTORY
	assert_eq "$(readlink "/proc/${GUEST_PID[$1]}/cwd")" "$2" "directory of the QEMU of $1"
}

start a d.qcow2 qmp
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR" >"$DIR/said" 2>&1 && fail "check knows a way: $(<"$DIR/said")"
grep -q -- "--attach puts that QEMU back" "$DIR/said" || fail "it does not say how: $(<"$DIR/said")"
is_in a /
move a local --attach
grep -q "its QEMU is back in the directory that it was started in.*: $DIR/a$" "$DIR/move.log" || fail "it is not said: $(<"$DIR/move.log")"
guest_verify "$(orders a)" blocks

env_of_sudo=yes start b d.qcow2 # sudo drops PWD
at_exit "rm -f /run/b.qmp"
move b local --attach --how quick
guest_verify "$(orders b)" blocks

mkdir "$DIR/there"
start c "$DIR/c/d.qcow2" qmp
vmferry check "${GUEST_PID[c]}" local --disk-dir "$DIR/there" --attach >"$DIR/said" 2>&1 || fail "$(<"$DIR/said")"
is_in c /

start d d.qcow2 qmp
mv "$DIR/d/d.qcow2" "$DIR/d/other.qcow2"
"$QEMU_IMG" create -q -f qcow2 "$DIR/d/d.qcow2" 64M
vmferry check "${GUEST_PID[d]}" local --disk-dir "$DIR/there" --attach >"$DIR/said" 2>&1 && fail "another file is taken for its disk"
is_in d /
