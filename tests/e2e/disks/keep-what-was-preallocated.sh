#!/bin/bash
# A disk that was preallocated has its blocks afterwards, too: raw (fallocate), and qcow2 whose clusters have zeros (preallocation=full), of a guest that
# runs; any (fallocate) of one that is shut down. No zeros travel for that, and `check` knows how little it is.
. "$(dirname "$0")/../../lib/cold.sh"

fallocate -l 16M "$DIR/a.raw" 2>/dev/null || skip "this file system sets no blocks aside"
"$QEMU_IMG" create -q -f qcow2 -o preallocation=full "$DIR/b.qcow2" 24M
head -c 1M /dev/urandom | dd of="$DIR/a.raw" bs=1M seek=5 conv=notrunc status=none
MEM=64 WITNESS="ram_mb=4 rate=0" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.qcow2" qcow2)

has_all() { # DIRECTORY
	[[ $(allocated "$1/a.raw") -ge $((16 << 20)) ]] || fail "$1/a.raw has $(allocated "$1/a.raw") bytes of blocks"
	[[ $(allocated "$1/b.qcow2") -ge $((24 << 20)) ]] || fail "$1/b.qcow2 has $(allocated "$1/b.qcow2") bytes of blocks"
	assert_same_content "$1/a.raw" raw "$DIR/a.raw" raw
	assert_same_content "$1/b.qcow2" qcow2 "$DIR/b.qcow2" qcow2
}

mkdir "$DIR/checked"
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/checked" --codec none --json >"$DIR/check.json"
said=$(python3 -S -c 'import json, sys; print(*[e["bytes_wire"] for e in map(json.loads, open(sys.argv[1])) if e["event"] == "estimate"])' "$DIR/check.json")
[[ $said -lt $((16 << 20)) ]] || fail "check says that $said bytes travel"
move a local --codec none
assert_result 'r["bytes_wire"] < 16 << 20' "zeros have travelled"
has_all "$TO"

# a destination that does not say that it writes zeros as contents are written is sent them as contents
first=$TO
export VMFERRY_FAULT=dst-knows-no-fills:fail
move a local --codec none
unset VMFERRY_FAULT
assert_result 'r["bytes_wire"] > 24 << 20' "zeros were told to who may lose a write beside them"
assert_same_content "$TO/b.qcow2" qcow2 "$first/b.qcow2" qcow2
guest_stop a

mkdir "$DIR/there"
"$QEMU_IMG" create -q -f qcow2 -o preallocation=falloc "$DIR/b.qcow2" 24M
vmferry migrate local --how cold --disk-dir "$DIR/there" --codec none -- "$QEMU" -name c -m 64 -drive "file=$DIR/a.raw,format=raw" \
	-drive "file=$DIR/b.qcow2,format=qcow2" >"$DIR/cold.out" 2>&1 || fail "$(tail -n 3 "$DIR/cold.out")"
has_all "$DIR/there"
