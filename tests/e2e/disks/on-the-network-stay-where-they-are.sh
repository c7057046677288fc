#!/bin/bash
# A disk behind a network is not copied: by a person's word it stays, and the guest goes on with it there, and back. What is not said, or is
# not the same at both ends, is refused before anything is touched.
# takes: 30
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/network-disk.sh"

untouched() {
	wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
	assert_eq "$(ls -A "$DIR/there")" "" "files at the destination"
	assert_settled
}

refused() { # PATTERN OPTION...
	local status=0
	"$BIN/vmferry" migrate "${GUEST_PID[a]}" "$DEST" --disk-dir "$DIR/there" "${@:2}" </dev/null >"$DIR/move.out" 2>"$DIR/move.err" || status=$?
	assert_eq "$status" 3 "exit code of migrate ${*:2} ($(tail -n 1 "$DIR/move.err"))"
	grep -q -- "$1" "$DIR/move.err" || fail "it does not say '$1': $(<"$DIR/move.err")"
	untouched
}

mkdir "$DIR/there"
guest_with_nbd_disk
to_local
"$BIN/vmferry" list -v >"$DIR/list"
grep -qF "  disk     $(nbd_uri s) (raw, 16.0 MiB)" "$DIR/list" || fail "list: $(<"$DIR/list")"
refused "$(nbd_uri s) is behind a network, and is not copied: .*--disk d0=shared leaves it where it is"
refused "can stay where it is only in a move of a running guest with its memory" --how warm --disk d0=shared

"$BIN/vmferry" check "${GUEST_PID[a]}" "$DEST" --disk-dir "$DIR/there" --disk d0=shared </dev/null >"$DIR/check.out" 2>&1 || fail "check: $(<"$DIR/check.out")"
grep -qF "disk     $(nbd_uri s) (raw, 16.0 MiB) stays where it is, as you say that the destination sees the same one" "$DIR/check.out" || fail "the plan: $(<"$DIR/check.out")"

move a "$DEST" --disk d0=shared
assert_result '[(d["transfer"], d["by_word"]) for d in plan["disks"]] == [("shared", True)]' "the plan"
assert_result 'r["disks"] == [] and r["deletable"] == [] and r["verified"]' "the result"
guest_verify "$(orders a)" blocks
grep -qF "$(nbd_uri s)" "$TO/a.sh" || fail "what starts the guest again does not name the disk"
to_listener
move a "$DEST" --disk vd0=shared
guest_verify "$(orders a)" blocks
guest_stop a

# an image on NBD as block nodes; consent for the guest's disk does not cover other nodes
"$QEMU_IMG" create -q -f qcow2 "$DIR/image" 16M
truncate -s 32M "$DIR/image" # the server does not let the image grow
nbd_serve q "$DIR/image"
head -c 1M /dev/zero >"$DIR/other"
nbd_serve o "$DIR/other"
node='{"driver":"qcow2","node-name":"q0","file":{"driver":"nbd","server":{"type":"unix","path":"'$DIR'/q.nbd"},"export":"disk"}}'
other='{"driver":"nbd","node-name":"o0","server":{"type":"unix","path":"'$DIR'/o.nbd"},"export":"disk"}'
with_nodes() { # [QEMU OPTION...]
	MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start a -blockdev "$node" "$@" \
		-device virtio-blk-pci,drive=q0,id=vd0 $(second_monitor a)
	GUEST_AT=()
	SETTINGS=$(settings_of a)
}
with_nodes -blockdev "$other"
to_local
refused "has the driver nbd" --disk q0=shared
guest_stop a
with_nodes
move a "$DEST" --disk q0=shared
guest_verify "$(orders a)" blocks
guest_stop a
"$QEMU_IMG" check -qU "$DIR/image" || fail "the image on it is damaged"

# a disk that never flushes is in this host's memory, whichever node says so
node=${node/'"nbd",'/'"nbd","cache":{"no-flush":true},'}
with_nodes
refused "a block node of the guest's is used with cache.no-flush" --disk q0=shared
guest_stop a
node=${node/'"cache":{"no-flush":true},'/}

# by that name the destination reaches another one
with_nodes
"$QEMU_IMG" create -q -f qcow2 "$DIR/larger" 32M
truncate -s 48M "$DIR/larger"
mkdir "$DIR/sockets"
nbd_serve sockets/q "$DIR/larger"
DST_ON=(unshare --mount --propagation private bash -c 'mount --bind "$0/sockets/q.nbd" "$0/q.nbd" && exec "$@"' "$DIR")
if [[ $EUID -eq 0 ]]; then
	to_listener
	status=0
	"$BIN/vmferry" migrate "${GUEST_PID[a]}" "$DEST" --disk-dir "$DIR/there" --disk q0=shared </dev/null >"$DIR/move.out" 2>"$DIR/move.err" || status=$?
	assert_eq "$status" 1 "exit code of that move ($(tail -n 1 "$DIR/move.err"))"
	grep -q "has 33554432 bytes from the destination, and 16777216 from the source: it is not the same one" "$DIR/move.err" || fail "$(<"$DIR/move.err")"
	untouched
fi
