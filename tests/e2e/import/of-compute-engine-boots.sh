#!/bin/bash
# An image that was exported from Google Compute Engine boots from its disk: a compressed tar of disk.raw, with a map of its holes and without,
# as GNU's tar makes it and as Python does. It is raw whatever its guest wrote to its beginning. What is damaged, cut off, or has more in it is refused.
# timeout: 300
. "$(dirname "$0")/../../lib/import.sh"

mkdir "$DIR/gce"
bootable_disk "$DIR/gce/disk.raw"
for at in 4 5 7 9 11 13; do # more pieces than a header has
	printf x | dd of="$DIR/gce/disk.raw" bs=1 seek="${at}M" conv=notrunc status=none
done
tar -C "$DIR/gce" --format=oldgnu -S --hole-detection=raw -czf "$DIR/$ID-sparse.tar.gz" disk.raw
tar -C "$DIR/gce" --format=gnu -czf "$DIR/$ID-whole.tar.gz" ./disk.raw
tar -C "$DIR/gce" --format=oldgnu -S --hole-detection=raw -cf "$DIR/$ID-open.tar" disk.raw
tar -C "$DIR/gce" --format=posix -S --hole-detection=raw -czf "$DIR/$ID-pax.tar.gz" disk.raw
python3 -S - "$DIR/gce/disk.raw" "$DIR/$ID-python.tar.gz" <<'PY'
import sys, tarfile
with tarfile.open(sys.argv[2], "w:gz", format=tarfile.PAX_FORMAT) as tar:
    tar.add(sys.argv[1], "disk.raw")
PY

for name in sparse.tar.gz whole.tar.gz open.tar pax.tar.gz python.tar.gz; do
	guest=$ID-${name%%.*}
	imports "$DIR/$ID-$name" --memory 128M --start -- -serial "file:$VM/$guest.serial"
	wait_for 60 says "$VM/$guest.serial" "disk $SUM" || fail "$guest has another disk: $(cat "$VM/$guest.serial" "$DIR/import.out")"
	end_process "$IMPORTED"
	"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$guest.qcow2" "$DIR/gce/disk.raw" || fail "$guest has another disk"
	assert_eq "$(find "$VM" -name '.*vmferry*')" "" "what is left of hidden names"
done

# archives that are cut off, or have something behind the disk
size=$(stat -c %s "$DIR/$ID-sparse.tar.gz")
head -c $((size - 6)) "$DIR/$ID-sparse.tar.gz" >"$DIR/cut.tar.gz" # cuts off a part of gzip's checksum, which comes last
refuses 3 'cut off' "$DIR/cut.tar.gz"
python3 -S - "$DIR/$ID-sparse.tar.gz" "$DIR/bad.tar.gz" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[-6] ^= 1 # flips a bit of the checksum
open(sys.argv[2], "wb").write(data)
PY
refuses 3 'damaged: the data of gzip' "$DIR/bad.tar.gz"
echo '{}' >"$DIR/gce/manifest.json"
tar -C "$DIR/gce" --format=oldgnu -S -czf "$DIR/more.tar.gz" disk.raw manifest.json
refuses 3 "the archive has 'manifest.json' behind disk.raw" "$DIR/more.tar.gz"

# a guest that wrote the header of another format to its disk
printf 'a secret of this host%491s' '' >"$DIR/secret"
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/secret" -F raw "$DIR/gce/disk.raw" 16M
truncate -s 16M "$DIR/gce/disk.raw"
tar -C "$DIR/gce" --format=oldgnu -S -czf "$DIR/evil.tar.gz" disk.raw
refuses 3 'nothing in it says that it is a disk' "$DIR/evil.tar.gz" --flatten
