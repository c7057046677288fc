# shellcheck shell=bash
# For end-to-end tests of guests that are shut down; to be sourced. Everything of aftermath.sh, and a guest `a` at rest in DIR/src: four images,
# each of which a copy of contents alone would lose something of. Nothing here needs to run it.
#
#   cold_start SRC DEST [OPTION...]     SRC: the directory with a.sh; the move goes to $TO
#   assert_lies_in DIRECTORY            all of it, and nowhere else anything that starts it
#   MONITOR                             its QMP socket, when its QEMU runs: nobody has that name meanwhile, so it has it there, too
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"

QEMU_IO=${QEMU_IMG%/*}/qemu-io
MONITOR=$DIR/src/a.qmp

# A raw file of an odd size with holes; a qcow2 image with a snapshot and a bitmap inside, on a base; an encrypted one; and a raw disk that looks
# like an image on a file of the host's.
make_images() { # DIRECTORY
	mkdir -p "$1"
	truncate -s 8M "$DIR/secret"
	(
		cd "$1"
		head -c 5000000 /dev/urandom >a.raw
		truncate -s 40000123 a.raw
		printf x | dd of=a.raw bs=1 seek=39999999 conv=notrunc status=none
		"$QEMU_IMG" create -q -f qcow2 base.qcow2 32M
		"$QEMU_IO" -f qcow2 -c 'write -P 0x11 1M 3M' base.qcow2 >/dev/null
		"$QEMU_IMG" create -q -f qcow2 -b base.qcow2 -F qcow2 b.qcow2
		"$QEMU_IO" -f qcow2 -c 'write -P 0x22 2M 1M' b.qcow2 >/dev/null
		"$QEMU_IMG" snapshot -c before b.qcow2
		"$QEMU_IMG" bitmap --add b.qcow2 since
		"$QEMU_IO" -f qcow2 -c 'write -P 0x33 5M 1M' b.qcow2 >/dev/null
		"$QEMU_IMG" create -q -f qcow2 -b "$DIR/secret" -F raw raw 8M # bytes that the guest has written into its raw disk
		"$QEMU_IMG" create -q -f qcow2 --object secret,id=key,data=open -o encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10 \
			c.qcow2 8M
	)
}

IMAGES='a.raw b.qcow2 c.qcow2 base.qcow2 raw'

# The script that starts it, as a move leaves one.
make_script() { # DIRECTORY
	cat >"$1/a.sh" <<-END
		#!/bin/sh
		# Starts the guest a.
		cd / || exit
		exec $QEMU \\
		    -accel tcg -machine q35 -m 64 -name a -display none -nodefaults -no-user-config \\
		    -object 'secret,id=key,data=open' \\
		    -drive file=$1/a.raw,format=raw,if=virtio \\
		    -drive file=$1/b.qcow2,format=qcow2,if=virtio \\
		    -drive file=$1/raw,format=raw,if=virtio \\
		    -drive file=$1/c.qcow2,format=qcow2,encrypt.format=luks,encrypt.key-secret=key,if=virtio \\
		    -qmp unix:$1/a.qmp,server=on,wait=off
	END
	chmod 700 "$1/a.sh"
}

guest_at_rest() { # again, too
	[[ -e $DIR/images ]] || make_images "$DIR/images"
	cp -a --sparse=always "$DIR/images" "$DIR/src"
	make_script "$DIR/src"
	(cd "$DIR/src" && md5sum $IMAGES) >"$DIR/sums"
}

cold_start() { # SRC DEST [OPTION...]
	MOVES=$((MOVES + 1))
	TO=$DIR/d$MOVES
	mkdir -p "$TO"
	rm -f "$DIR/move.json" "$DIR/move.log"
	"$BIN/vmferry" migrate "$1/a.sh" "$2" --how cold --disk-dir "$TO" --json -v "${@:3}" </dev/null >"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
}

cold_wait() { # [STATUS (0)]
	local status=0
	wait_for 60 process_is_gone "$MOVE_PID" || fail "the move does not end"
	wait "$MOVE_PID" || status=$?
	assert_eq "$status" "${1:-0}" "exit code ($(result 'r.get("reason", r["outcome"])' 2>/dev/null || tail -n 3 "$DIR/move.log"))"
}

cold() { # The same as cold_start, to its end.
	cold_start "$@"
	cold_wait
}

scripts() { # prints what would start it, wherever
	(cd "$DIR" && find . -name '*.sh' -perm -u+x)
}

assert_lies_in() { # DIRECTORY
	(cd "$1" && md5sum --quiet -c "$DIR/sums") || fail "its files in $1 are others now"
	assert_eq "$(scripts)" "./${1#"$DIR"/}/a.sh" "scripts that start it"
	assert_eq "$(find "$1" -name '*vmferry-*')" "" "drafts"
	for image in $IMAGES; do # as raw, which needs no key, but the locks
		"$QEMU_IO" -f raw -c 'write 0 0' "$1/$image" >/dev/null || fail "$1/$image is locked"
	done
}

assert_untouched() { # at the source, with nothing at the destination
	assert_lies_in "$DIR/src"
	assert_eq "$(ls -A "$TO")" "" "files at the destination"
	assert_nothing_unfinished
}
