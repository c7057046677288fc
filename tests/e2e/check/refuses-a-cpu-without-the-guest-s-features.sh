#!/bin/bash
# The destination's QEMU gives a CPU with less than the guest has, or of another vendor: refused, with the names.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"


real=$(readlink -f "$QEMU")
# What QEMU is started as at the destination is what /proc/PID/exe is: a copy that can be replaced.
copy=$DIR/tree/usr/bin/qemu-system-x86_64
root=
[[ $real == /usr/* ]] || root=${real%/bin/*}
mkdir -p "$DIR/tree/usr/bin" # it finds its libraries from where it lies
ln -s "$root/usr/lib" "$DIR/tree/usr/lib"
ln -s "$root/lib" "$DIR/tree/lib"
cp --reflink=auto "$root/usr/bin/qemu-system-x86_64" "$copy.real"
cp --reflink=auto "$copy.real" "$copy"
lib=$root/usr/lib/x86_64-linux-gnu
start() { # [OPTION...]: the line of a QEMU that is started from the copy
	cat >"$DIR/run-qemu" <<-END
		#!/bin/sh
		export QEMU_MODULE_DIR=$lib/qemu
		exec "$copy" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "\$@"
	END
	chmod +x "$DIR/run-qemu"
}

start
QEMU=$DIR/run-qemu guest_a -cpu max,vendor=GenuineIntel
to_local

replaced() { # CPU: the copy becomes a program that gives this one instead
	rm "$copy"
	printf '#!/bin/sh\nexec "%s.real" "$@" -cpu "%s"\n' "$copy" "$1" >"$copy"
	chmod +x "$copy"
}

restored() {
	rm "$copy"
	cp --reflink=auto "$copy.real" "$copy"
}

replaced max,vendor=GenuineIntel,-sse4.1,-popcnt
move_start a local
move_wait 3
assert_result '"lacks what the guest" in r["reason"] and "popcnt" in r["reason"] and "sse4" in r["reason"]'
restored
assert_at_source
replaced max,vendor=AuthenticAMD
move_start a local
move_wait 3
assert_result '"GenuineIntel" in r["reason"] and "AuthenticAMD" in r["reason"]'
restored
assert_at_source
move a local
assert_moved
