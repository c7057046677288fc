# shellcheck shell=bash
# A copy of QEMU, $QEMU_COPY, which $DIR/run-qemu starts, for tests in which the destination's QEMU is to be another: what is started there is what
# /proc/PID/exe of the source's is, and that can be replaced. To be sourced, after aftermath.sh.
QEMU_COPY=$DIR/tree/usr/bin/qemu-system-x86_64
QEMU_THERE= # the program in its place

copy_qemu() {
	local real root=
	real=$(readlink -f "$QEMU")
	[[ $real == /usr/* ]] || root=${real%/bin/*}
	mkdir -p "$DIR/tree/usr/bin" # QEMU finds its libraries relative to its own place
	ln -s "$root/usr/lib" "$DIR/tree/usr/lib"
	ln -s "$root/lib" "$DIR/tree/lib"
	cp --reflink=auto "$root/usr/bin/qemu-system-x86_64" "$QEMU_COPY.real"
	cp --reflink=auto "$QEMU_COPY.real" "$QEMU_COPY"
	cat >"$DIR/run-qemu" <<-END
		#!/bin/sh
		export QEMU_MODULE_DIR=$root/usr/lib/x86_64-linux-gnu/qemu
		exec "$QEMU_COPY" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "\$@"
	END
	chmod +x "$DIR/run-qemu"
}

replace_copy() { # by a script, on stdin, in which $0.real is QEMU
	rm "$QEMU_COPY"
	{ echo '#!/bin/sh' && cat; } >"$QEMU_COPY"
	chmod +x "$QEMU_COPY"
}

copy_qemu
