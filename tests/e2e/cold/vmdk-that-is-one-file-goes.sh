#!/bin/bash
# A guest that is shut down goes with an image in VMware's format if that is one file and stands on no other, whether or not its line says the format. One
# of several files, and one that stands on another, is refused as that.
. "$(dirname "$0")/../../lib/aftermath.sh"

cd "$DIR"
mkdir there
"$QEMU_IMG" create -q -f vmdk one.vmdk 16M
"${QEMU_IMG%/*}/qemu-io" -f vmdk -c 'write -P 0x11 1M 3M' one.vmdk >/dev/null
"$QEMU_IMG" create -q -f vmdk -o subformat=monolithicFlat flat.vmdk 16M
"$QEMU_IMG" create -q -f vmdk -o subformat=twoGbMaxExtentSparse split.vmdk 16M
"$QEMU_IMG" create -q -f vmdk -F vmdk -b one.vmdk above.vmdk

cold() { # COMMAND DRIVE
	vmferry "$1" local --how cold --disk-dir "$DIR/there" -- "$QEMU" -name a -m 64 -drive "$2" >"$DIR/said" 2>&1 </dev/null
}

for drive in file=$DIR/flat.vmdk file=$DIR/split.vmdk,format=vmdk file=$DIR/above.vmdk,format=vmdk file=$DIR/above.vmdk; do
	cold check "$drive" && fail "$drive is taken for one file"
	grep -qE 'names other files|may lie in more files' "$DIR/said" || fail "it is refused otherwise: $(<"$DIR/said")"
done
cold check "file=$DIR/one.vmdk" || fail "$(<"$DIR/said")"
cp one.vmdk before
cold migrate "file=$DIR/one.vmdk,format=vmdk" || fail "$(<"$DIR/said")"
cmp before there/one.vmdk || fail "it is another file there"
