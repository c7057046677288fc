#!/bin/bash
# A guest with external snapshots that were made while it ran: libvirt has written the chain of its images into the definition. It goes cold with its
# snapshots, and back, where the images themselves name that chain; a definition that names another chain is refused, and nothing is touched.
# takes: 15
export TINY=yes MEM=32
. "$(dirname "$0")/../../lib/libvirt-move.sh"

web=web-$$
libvirt_host a
libvirt_host b
at_a=$(libvirt_at a "$LIBVIRT_GUESTS") at_b=$(libvirt_at b "$LIBVIRT_GUESTS")
"$QEMU_IMG" create -q -f qcow2 "$at_a/web.qcow2" 16M
WITNESS="ram_mb=4 rate=0" libvirt_define a $web "$LIBVIRT_GUESTS/web.qcow2:qcow2"
libvirt_run a $web
for name in monday tuesday; do libvirt_in a virsh -q snapshot-create-as $web $name --disk-only >/dev/null; done
libvirt_in a virsh -q destroy $web >/dev/null
libvirt_in a "${QEMU_IMG%/*}/qemu-io" -f qcow2 -c "write -P 7 1M 2M" "$LIBVIRT_GUESTS/web.tuesday" >/dev/null
libvirt_in a virsh dumpxml --inactive $web >"$DIR/defined.xml"
grep -q "<source file='$LIBVIRT_GUESTS/web.monday'/>" "$DIR/defined.xml" || skip "this libvirt does not write the chain into the definition"

facts() { # HOST
	libvirt_in "$1" virsh dumpxml --inactive $web
	libvirt_in "$1" virsh -q snapshot-list $web --tree
	libvirt_in "$1" virsh snapshot-dumpxml $web tuesday
	(cd "$(libvirt_at "$1" "$LIBVIRT_GUESTS")" && md5sum web.qcow2 web.monday web.tuesday)
}

facts a >"$DIR/before"
listen_at a
listen_at b
libvirt_move a b $web 0 --how cold
assert_is_at b a $web
facts b | diff "$DIR/before" - || fail "it is not there as it was here"
rm "$at_a"/web.{qcow2,monday,tuesday}
libvirt_move b a $web 0 --how cold
facts a | diff "$DIR/before" - || fail "it is not back as it was"

# What the definition names counts for libvirt, and what the images name for everybody else.
refused() { # PATTERN SED-SCRIPT
	sed "$2" "$DIR/defined.xml" >"$DIR/changed.xml"
	libvirt_in a virsh -q define "$DIR/changed.xml" >/dev/null || fail "it cannot be defined: $2"
	facts a >"$DIR/changed"
	libvirt_move a b $web 3 --how cold
	result 'r["reason"]' | says "disk vda is based on (<backingStore>).* it has $1" || fail "not '$1': $(result 'r["reason"]')"
	facts a | diff "$DIR/changed" - || fail "changed at the source"
	assert_is_at a b $web
}
cp "$at_a/web.qcow2" "$at_a/other.qcow2"
refused ".*/other.qcow2 (qcow2) where they have .*/web.qcow2 (qcow2)" 's|/web.qcow2|/other.qcow2|'
refused ".*/web.qcow2 (raw) where they have .*/web.qcow2 (qcow2)" "\\|<source file='.*/web.monday'|,\\|/web.qcow2|s|<format type='qcow2'/>|<format type='raw'/>|"
refused "nothing (-) where they have .*/web.qcow2 (qcow2)" "\\|<source file='.*/web.monday'|,\\|</backingStore>|{\\|web.monday|!{\\|</backingStore>|!d};s|</backingStore>|<backingStore/>|}"
assert_nothing_unfinished
