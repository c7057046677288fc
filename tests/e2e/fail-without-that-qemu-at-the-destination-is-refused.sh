#!/bin/bash
# No such QEMU at the destination: refused. One that refuses the guest: rolled back, with its own words.
. "$(dirname "$0")/../lib/aftermath.sh"

real=$(dirname "$(readlink -f "$QEMU")")/../usr/bin/qemu-system-x86_64
cp --reflink=auto "$real" "$DIR/qemu-system-here"
cat >"$DIR/run-qemu" <<END
#!/bin/sh
root=$(cd "$(dirname "$(readlink -f "$QEMU")")/.." && pwd)
export LD_LIBRARY_PATH=\$root/usr/lib/x86_64-linux-gnu:\$root/lib/x86_64-linux-gnu QEMU_MODULE_DIR=\$root/usr/lib/x86_64-linux-gnu/qemu
exec "$DIR/qemu-system-here" -L "\$root/usr/share/qemu" -L "\$root/usr/share/seabios" "\$@"
END
chmod +x "$DIR/run-qemu"
QEMU=$DIR/run-qemu guest_a
to_local
rm "$DIR/qemu-system-here"
move_start a local
move_wait 3
assert_result '"no QEMU at the destination" in r["reason"] and "qemu-system-here" in r["reason"]'

printf '#!/bin/sh\necho "qemu-system: unsupported machine type $2" >&2\nexit 1\n' >"$DIR/qemu-system-here"
chmod +x "$DIR/qemu-system-here"
move_start a local
move_wait 1
assert_result '"starting the destination QEMU" in r["reason"] and "unsupported machine type" in r["reason"]'
assert_at_source
