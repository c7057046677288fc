#!/bin/bash
# The disks of an XVA (XenServer, XCP-ng) are put together from its blocks, also of a compressed one, and so is a disk that is compressed by itself, or
# within an OVA. What is damaged or cut off is refused, and nothing that was unpacked stays.
# timeout: 300
. "$(dirname "$0")/../../lib/import.sh"

bootable_disk "$DIR/boot.raw"
python3 -S - "$DIR" "$TOP/tests/data/import/xcp-ng.ova.xml" <<'END'
import hashlib, io, sys, tarfile
directory, description = sys.argv[1:]
disk = open(directory + "/boot.raw", "rb").read()
xml = open(description).read().replace("10737418240", str(len(disk))).encode()

def archive(name, spoil):
    with tarfile.open(f"{directory}/{name}", "w", format=tarfile.USTAR_FORMAT) as tar:
        def add(name, content):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        add("ova.xml", xml)
        last = (len(disk) >> 20) - 1
        for n in range(last + 1):
            block = disk[n << 20:(n + 1) << 20]
            if 0 < n < last and not any(block):
                continue
            add(f"Ref:4/{n:08}", b"x" + block[1:] if spoil and n == 1 else block)
            add(f"Ref:4/{n:08}.checksum", hashlib.sha1(block).hexdigest().encode())
archive("good.xva", False)
archive("bad.xva", True)
END
gzip -k "$DIR/good.xva"

for file in good.xva good.xva.gz; do
	imports "$DIR/$file" --name "$ID-$file"
	"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$(basename "$(sed -n 's/^  disk .* -> \(.*\), on .*/\1/p' "$DIR/import.out")")" "$DIR/boot.raw" || fail "$file: another disk"
done
refuses 3 "block 1 of Ref:4 is not what its digest \(.checksum\) says" "$DIR/bad.xva"
head -c 2500000 "$DIR/good.xva" >"$DIR/cut.xva"
refuses 3 "cut off" "$DIR/cut.xva"
head -c 1000000 "$DIR/good.xva.gz" >"$DIR/cut.xva.gz"
refuses 3 "cut off|damaged" "$DIR/cut.xva.gz"

# --- compressed by itself ------------------------------------------------------------------------
gzip -k "$DIR/boot.raw"
imports "$DIR/boot.raw.gz" --name "$ID-packed"
"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$ID-packed.qcow2" "$DIR/boot.raw" || fail "another disk"
xz -0 -k "$DIR/boot.raw"
imports "$DIR/boot.raw.xz" --name "$ID-xz"
"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$ID-xz.qcow2" "$DIR/boot.raw" || fail "another disk"
bzip2 -1 -k "$DIR/boot.raw"
cp "$DIR/boot.raw.bz2" "$DIR/$ID-bzip2.img.bz2"
imports "$DIR/$ID-bzip2.img.bz2"
"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$ID-bzip2.qcow2" "$DIR/boot.raw" || fail "another disk"
head -c 1000000 "$DIR/boot.raw.bz2" >"$DIR/cut.raw.bz2"
refuses 3 "cut off" "$DIR/cut.raw.bz2"
{ head -c 1000000 "$DIR/boot.raw.bz2"; printf xxxx; tail -c +1000005 "$DIR/boot.raw.bz2"; } >"$DIR/bad.raw.bz2"
refuses 3 "damaged: the data of bzip2" "$DIR/bad.raw.bz2"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/boot.raw" "$DIR/$ID-inside.img" # the contents of the image tell the format
gzip "$DIR/$ID-inside.img"
imports "$DIR/$ID-inside.img.gz"
"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$ID-inside.qcow2" "$DIR/boot.raw" || fail "another disk"

# a refusal uses the user's name of the file; a file that is said to be raw is unpacked, too
head -c 1M /dev/urandom | gzip >"$DIR/$ID-noise.raw.gz"
refuses 3 "/$ID-noise.raw.gz: nothing in it says that it is a disk" "$DIR/$ID-noise.raw.gz"
imports "$DIR/$ID-noise.raw.gz" --raw "$DIR/$ID-noise.raw.gz"
gzip -dk "$DIR/$ID-noise.raw.gz"
"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$ID-noise.qcow2" "$DIR/$ID-noise.raw" || fail "another disk"
"$QEMU_IMG" create -q -f qcow2 -b boot.raw -F raw "$DIR/$ID-overlay.qcow2"
gzip "$DIR/$ID-overlay.qcow2"
refuses 3 "/$ID-overlay.qcow2.gz has a backing file, boot.raw, which may be another guest's" "$DIR/$ID-overlay.qcow2.gz"
gzip -c "$DIR/boot.raw.gz" >"$DIR/$ID-twice.raw.gz"
refuses 3 "/$ID-twice.raw.gz: compressed .gzip.: unpack it first" "$DIR/$ID-twice.raw.gz"
to_ova "$ID" "$DIR/boot.raw"
gzip "$DIR/$ID.d/$ID-disk1.vmdk"
mv "$DIR/$ID.d/$ID-disk1.vmdk.gz" "$DIR/$ID.d/$ID-disk1.vmdk"
sed -i 's/<File /<File ovf:compression="gzip" /' "$DIR/$ID.d/$ID.ovf"
rm "$DIR/$ID.d/$ID.mf"
tar -C "$DIR/$ID.d" --format=ustar -cf "$DIR/$ID.ova" "$ID.ovf" "$ID-disk1.vmdk"
imports "$DIR/$ID.ova" --name "$ID-member"
"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$ID-member.qcow2" "$DIR/boot.raw" || fail "another disk of the OVA"
[[ -z $(find "$VM" -name '.vmferry*') ]] || fail "something that was unpacked stays: $(ls -A "$VM")"
