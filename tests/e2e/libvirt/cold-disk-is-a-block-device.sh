#!/bin/bash
# A libvirt guest that is shut down, and whose disk is a block device, gets a file in its place, and back a device: its definition says so.
. "$(dirname "$0")/../../lib/libvirt-move.sh"

device() { # NAME: sets the variable of that name
	local loop
	truncate -s 16M "$DIR/$1"
	loop=$(losetup -f --show "$DIR/$1" 2>/dev/null) || skip "no loop device here"
	at_exit "losetup -d $loop"
	declare -g "$1=$loop"
}

device first
device second
head -c 16M /dev/urandom >"$first"
web=web-$$
libvirt_host a
libvirt_host b
libvirt_xml $web "$first:raw" | sed "s|type='file' device='disk'|type='block' device='disk'|; s|source file='$first'|source dev='$first'|" >"$DIR/web.xml"
libvirt_in a virsh -q define "$DIR/web.xml" >/dev/null
listen_at a
listen_at b

libvirt_move a b $web 0 --how cold --disk "vda=$LIBVIRT_GUESTS/web.raw"
cmp "$first" "$(libvirt_at b "$LIBVIRT_GUESTS/web.raw")"
libvirt_in b virsh dumpxml $web >"$DIR/there"
grep -q "<source file='$LIBVIRT_GUESTS/web.raw'/>" "$DIR/there" || fail "it is no file there: $(<"$DIR/there")"
libvirt_move b a $web 0 --how cold --disk "vda=$second"
cmp "$second" "$(libvirt_at b "$LIBVIRT_GUESTS/web.raw")"
libvirt_in a virsh dumpxml $web >"$DIR/back"
grep -q "<source dev='$second'/>" "$DIR/back" || fail "it is no device again: $(<"$DIR/back")"
