#!/bin/bash
# tests/faults/device.sh pages|opaque dst-qemu WHAT: the QEMU that the destination has under that name is another, in that way to carry memory: ends (at its start),
# lacks (a device), differs (one device is another, which is seen when its state is loaded), slow (it takes seconds to start).
. "$(dirname "$0")/cell.sh"
MODE=$1 WHAT=$3
RECONNECT_S=6
HEAL=heal

# QEMU is the system's own, or was unpacked beside everything that it needs, with a script that starts it.
real=$(readlink -f "$QEMU")
root=
[[ $real == /usr/* ]] || root=${real%/bin/*}
tree=$DIR/tree/usr/bin # QEMU finds its libraries relative to its own place
mkdir -p "$tree"
ln -s "$root/usr/lib" "$DIR/tree/usr/lib"
ln -s "$root/lib" "$DIR/tree/lib"
cp --reflink=auto "$root/usr/bin/qemu-system-x86_64" "$tree/qemu-system-here"
cp --reflink=auto "$tree/qemu-system-here" "$tree/qemu-system-real"
printf '#!/bin/sh\nexport QEMU_MODULE_DIR=%s\nexec "%s" -L "%s" -L "%s" "$@"\n' "$root/usr/lib/x86_64-linux-gnu/qemu" \
	"$tree/qemu-system-here" "$root/usr/share/qemu" "$root/usr/share/seabios" >"$DIR/run-qemu"
chmod +x "$DIR/run-qemu"

heal() {
	cp --remove-destination --reflink=auto "$tree/qemu-system-real" "$tree/qemu-system-here"
}

QEMU=$DIR/run-qemu cell_begins
case $WHAT in
ends) does='case " $* " in *" -incoming "*) echo "qemu-system: it cannot" >&2; exit 1 ;; esac' ;;
lacks) does='case " $* " in *virtio-blk-pci*) echo "qemu-system: -device virtio-blk-pci: it is not a valid device model name" >&2; exit 1 ;; esac' ;;
differs) does='for a; do shift; case $a in virtio-blk-pci,*) a=$a,disable-legacy=on ;; esac; set -- "$@" "$a"; done' ;;
slow) does='case " $* " in *" -incoming "*) read -rt 4 nothing <>"$fifo"; touch "$fifo.waited" ;; esac' ;;
*) fail "what is $WHAT?" ;;
esac
mkfifo "$tree/qemu-system-real.fifo"
rm "$tree/qemu-system-here"
cat >"$tree/qemu-system-here" <<END
#!/bin/bash
fifo=$tree/qemu-system-real.fifo
$does
exec "$tree/qemu-system-real" "\$@"
END
chmod +x "$tree/qemu-system-here"
reach begun --ram-mode "$MODE"
settle
case $WHAT in
slow) expected="migrate says 0" ;;
differs) expected="migrate says 1" ;;
*) # the guest's line is tried there first: refused before anything is touched, so that recover finds nothing, either
	expected="recover says 3"
	assert_result 'r["outcome"] == "refused" and r["exit_code"] == 3' "what migrate says"
	;;
esac
assert_eq "$SAID_BY says $CODE" "$expected" "with a QEMU there that $WHAT"
[[ $WHAT != slow || -e $tree/qemu-system-real.fifo.waited ]] || fail "the slow QEMU was not started"
verdict
