# shellcheck shell=bash
# A disk behind a network: an NBD server that is neither host's. To be sourced after aftermath.sh.

NBD_PID=

# Serves FILE as export "disk" at DIR/NAME.nbd, to any number of clients.
nbd_serve() { # NAME FILE [FORMAT]
	"$TOP/build/qemu/bin/qemu-nbd" --persistent --shared=9 --format="${3:-raw}" --export-name=disk --socket="$DIR/$1.nbd" "$2" \
		</dev/null >"$DIR/$1.nbd.log" 2>&1 &
	NBD_PID=$!
	kill_at_exit "$NBD_PID"
	wait_for 60 test -S "$DIR/$1.nbd" || fail "no NBD server: $(<"$DIR/$1.nbd.log")"
}

nbd_uri() { # NAME
	echo "nbd+unix:///disk?socket=$DIR/$1.nbd"
}

# Guest a has it as its one disk, d0.
guest_with_nbd_disk() {
	head -c 16M /dev/urandom >"$DIR/disk"
	nbd_serve s "$DIR/disk"
	MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start a -drive "file=$(nbd_uri s),format=raw,if=none,id=d0" \
		-device virtio-blk-pci,drive=d0,id=vd0 $(second_monitor a)
	SETTINGS=$(settings_of a)
}
