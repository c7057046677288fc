#!/bin/bash
# Images of a libvirt guest may lie behind a link to a directory, and be based on others there: at the destination, where there is no such link, all of them are
# where the link led to, and libvirt's definition names those places. An image that names its base by way of the link needs that way there. A definition that says
# itself what an image is based on says so no more where one image is made of all.
# takes: 30
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

web=web-$$
libvirt_host a
libvirt_host b
at_a=$(libvirt_at a "$LIBVIRT_GUESTS") at_b=$(libvirt_at b "$LIBVIRT_GUESTS")
G=$LIBVIRT_GUESTS
mkdir "$at_a/real" "$at_b/real"
ln -s "$G/real" "$at_a/link"
for base in base other; do head -c 4M /dev/urandom >"$at_a/real/$base.raw"; done
"$QEMU_IMG" create -q -f qcow2 -b base.raw -F raw -u "$at_a/real/root.qcow2" 8M
"$QEMU_IMG" create -q -f qcow2 -b "$G/link/other.raw" -F raw -u "$at_a/real/other.qcow2" 8M
libvirt_define a $web "$G/link/root.qcow2:qcow2" "$G/link/other.qcow2:qcow2"
libvirt_run a $web
listen_at a
listen_at b

libvirt_move a b $web 3
assert_result "'$G/link/other.raw is to be where the image above it says' in r['reason'] and r['guest'] == 'source'"
mkdir "$at_b/link"
libvirt_move a b $web 0
assert_is_at b a $web
libvirt_in b virsh dumpxml $web | sed -n "s/.*<source file='\([^']*\)'.*/\1/p" | grep -v serial | sort >"$DIR/sources"
assert_eq "$(xargs <"$DIR/sources")" "$G/link/other.raw $G/real/base.raw $G/real/other.qcow2 $G/real/root.qcow2" "images of the guest"
cmp "$at_a/real/base.raw" "$at_b/real/base.raw"
cmp "$at_a/real/other.raw" "$at_b/link/other.raw"
guest_adopt $web "$(<"$(libvirt_at b "/run/libvirt/qemu/$web.pid")")"
GUEST_AT[$web]=$at_b
guest_verify "$(orders $web)"
assert_nothing_unfinished

# Shut down, to another directory: what is named from beside it comes along, and stands in no definition.
libvirt_in b virsh -q destroy $web
mkdir "$at_a/cold"
libvirt_move b a $web 0 --how cold --disk-dir "$G/cold"
cmp "$at_b/real/base.raw" "$at_a/cold/base.raw"
libvirt_in a virsh dumpxml $web | sed -n "s/.*<source file='\([^']*\)'.*/\1/p" | grep -v serial | sort >"$DIR/sources"
assert_eq "$(xargs <"$DIR/sources")" "$G/cold/other.qcow2 $G/cold/root.qcow2" "images of the guest that is shut down"
assert_nothing_unfinished

# A chain becomes one image, for a guest whose definition names the backing file (as an external snapshot leaves it): the file of that name
# there is another guest's.
mkdir "$at_b/flat" "$at_b/cold"
head -c 4M /dev/urandom >"$at_b/cold/base.raw"
libvirt_in a virsh dumpxml --inactive $web |
	sed "\\|cold/root.qcow2|s|\$|<backingStore type='file'><format type='raw'/><source file='$G/cold/base.raw'/><backingStore/></backingStore>|" >"$DIR/web.xml"
libvirt_in a virsh -q define "$DIR/web.xml" >/dev/null
rm "$at_a/$web.console"
libvirt_run a $web
libvirt_move a b $web 0 --chain flatten --disk-dir "$G/flat"
for which in '' --inactive; do
	libvirt_in b virsh dumpxml $which $web | sed -n "s/.*<source file='\([^']*\)'.*/\1/p" | grep -v serial | sort >"$DIR/sources"
	assert_eq "$(xargs <"$DIR/sources")" "$G/flat/other.qcow2 $G/flat/root.qcow2" "images of the guest $which"
done
guest_adopt $web "$(<"$(libvirt_at b "/run/libvirt/qemu/$web.pid")")"
GUEST_AT[$web]=$at_b
guest_verify "$(orders $web)"
assert_nothing_unfinished
