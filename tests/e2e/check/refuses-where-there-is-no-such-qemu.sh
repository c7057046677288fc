#!/bin/bash
# No such QEMU at the destination, or one that does not take the guest: refused, with its own words.
. "$(dirname "$0")/../../lib/aftermath.sh"

QEMU_THERE= # the program of the same name
# QEMU is the system's own, or was unpacked beside everything that it needs, with a script that starts it.
qemu=$(readlink -f "$QEMU")
root=
[[ $qemu == /usr/* ]] || root=${qemu%/bin/*}
mkdir -p "$DIR/usr/bin"
ln -s "$root/usr/lib" "$DIR/usr/lib"
[[ ! -e $root/lib ]] || ln -s "$root/lib" "$DIR/lib"
cp --reflink=auto "$root/usr/bin/qemu-system-x86_64" "$DIR/usr/bin/qemu-system-here"
# A QEMU of another release finds its libraries beside it, and a shell cannot run with those.
needs=
"$DIR/usr/bin/qemu-system-here" --version &>/dev/null || needs="export LD_LIBRARY_PATH=\$lib:$root/lib/x86_64-linux-gnu"
cat >"$DIR/run-qemu" <<END
#!/bin/sh
lib=$root/usr/lib/x86_64-linux-gnu
$needs
export QEMU_MODULE_DIR=\$lib/qemu
exec "$DIR/usr/bin/qemu-system-here" -L "$root/usr/share/qemu" -L "$root/usr/share/seabios" "\$@"
END
chmod +x "$DIR/run-qemu"
QEMU=$DIR/run-qemu guest_a
to_local
rm "$DIR/usr/bin/qemu-system-here"
move_start a local
move_wait 3
assert_result '"no QEMU at the destination" in r["reason"] and "qemu-system-here" in r["reason"]'

printf '#!/bin/sh\necho "qemu-system: unsupported machine type $2" >&2\nexit 1\n' >"$DIR/usr/bin/qemu-system-here"
chmod +x "$DIR/usr/bin/qemu-system-here"
move_start a local
move_wait 3
assert_result '"does not take this guest" in r["reason"] and "unsupported machine type" in r["reason"]'
assert_at_source
