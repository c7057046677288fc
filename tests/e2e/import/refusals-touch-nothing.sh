#!/bin/bash
# An import refuses a guest that is damaged, names files that are not its own, or would write over something: exit code 3, a reason, and
# every file is as before. An import that fails later leaves nothing behind: exit code 1; files that cannot be removed are listed: 4.
# timeout: 600
# takes: 40
# tier: gate
. "$(dirname "$0")/../../lib/import.sh"

refused() { # PATTERN ARGUMENT...
	refuses 3 "$@"
	says "$DIR/import.err" 'nothing was touched' || fail "$(cat "$DIR/import.err")"
}

guest_disk "$DIR/a.raw" raw 4M
printf 'a secret of this host, in a file of 512 bytes%467s' '' >"$DIR/secret"

# --- an OVA that is not what it was -----------------------------------------------------------
to_ova "$ID" "$DIR/a.raw"
cp "$DIR/$ID.ova" "$DIR/good.ova"
python3 -S - "$DIR/$ID.ova" <<'END'
import sys
with open(sys.argv[1], "r+b") as f: # flips one byte in the middle of the disk
    at = f.read().index(b"KDMV") + 700
    f.seek(at); byte = f.read(1); f.seek(at); f.write(bytes([byte[0] ^ 1]))
END
refused "$ID-disk1.vmdk is damaged: its SHA256 is not what the manifest says" "$DIR/$ID.ova"
refused "$ID-disk1.vmdk is damaged" "$DIR/$ID.ova" --dry-run
python3 -S - "$DIR/$ID.ova" <<'END'
import sys
with open(sys.argv[1], "r+b") as f: # flips a byte of the magic number
    f.seek(f.read().index(b"KDMV")); f.write(b"QFI\xfb")
END
refused "$ID-disk1.vmdk is damaged" "$DIR/$ID.ova"
cp "$DIR/good.ova" "$DIR/$ID.ova"
sed -i 's/vmdisk1/vmdisk2/g' "$DIR/$ID.d/$ID.ovf"
refused "$ID.ovf is damaged" "$DIR/$ID.d/$ID.ovf"
cp "$DIR/good.ova" "$DIR/cut.ova"
truncate -s 20000 "$DIR/cut.ova"
refused 'cut off' "$DIR/cut.ova"
to_ova "$ID" "$DIR/a.raw"
mkdir "$DIR/other" # the disk that is named, wherever it lies, is the one that must be what the manifest says
mv "$DIR/$ID.d/$ID-disk1.vmdk" "$DIR/other"
vmferry import "$DIR/$ID.d/$ID.ovf" "$DIR/other/$ID-disk1.vmdk" --dry-run >"$DIR/import.out" 2>&1 || fail "$(<"$DIR/import.out")"
cp "$DIR/other/$ID-disk1.vmdk" "$DIR/$ID.d"
printf x | dd of="$DIR/other/$ID-disk1.vmdk" bs=1 seek=70000 conv=notrunc status=none
refused "$ID-disk1.vmdk is damaged" "$DIR/$ID.d/$ID.ovf" "$DIR/other/$ID-disk1.vmdk"
to_ova "$ID" "$DIR/a.raw"
sed -i '/vmdk/d' "$DIR/$ID.d/$ID.mf"
pack_ova "$ID"
refused "$ID.mf says nothing of $ID-disk1.vmdk" "$DIR/$ID.ova"
refused "$ID.mf says nothing of $ID-disk1.vmdk" "$DIR/$ID.d/$ID.ovf"

# a disk of several files: the manifest must say what each is
cd "$DIR/$ID.d"
head -c 1M /dev/urandom >"$ID-flat.vmdk"
cat >"$ID-disk1.vmdk" <<-END
	# Disk DescriptorFile
	version=1
	CID=12345678
	parentCID=ffffffff
	createType="monolithicFlat"
	RW 2048 FLAT "$ID-flat.vmdk" 0
END
manifest() { # FILE...
	for file in "$@"; do echo "SHA256($file)= $(sha256sum "$file" | cut -d' ' -f1)"; done >"$ID.mf"
}
manifest "$ID.ovf" "$ID-disk1.vmdk"
refused "$ID.mf says nothing of $ID-flat.vmdk" "$DIR/$ID.d/$ID.ovf"
manifest "$ID.ovf" "$ID-disk1.vmdk" "$ID-flat.vmdk"
import "$DIR/$ID.d/$ID.ovf" --dry-run || fail "$(<"$DIR/import.err")"
mkdir "$DIR/apart"
mv "$ID-disk1.vmdk" "$DIR/apart"
cp "$ID-flat.vmdk" "$DIR/apart"
printf x | dd of="$DIR/apart/$ID-flat.vmdk" bs=1 seek=70000 conv=notrunc status=none
refused "does not say whether they are whole" "$DIR/$ID.d/$ID.ovf" "$DIR/apart/$ID-disk1.vmdk"
mv "$DIR/apart/$ID-disk1.vmdk" "$DIR/apart/$ID-flat.vmdk" .
refused "$ID-flat.vmdk is damaged" "$DIR/$ID.d/$ID.ovf"
rm "$ID-flat.vmdk"
cd "$TOP"

# --- a tar that an OVA would not be -------------------------------------------------------------
to_ova "$ID" "$DIR/a.raw"
pack_ova "$ID" --transform="s|$ID-disk1|../$ID-disk1|"
refused "member '../$ID-disk1.vmdk'" "$DIR/$ID.ova"
pack_ova "$ID" -P --transform="s|^$ID-disk1|/etc/$ID-disk1|"
refused "member '/etc/$ID-disk1.vmdk'" "$DIR/$ID.ova"
mv "$DIR/$ID.d/$ID-disk1.vmdk" "$DIR/$ID.d/elsewhere.vmdk"
ln -s "$DIR/secret" "$DIR/$ID.d/$ID-disk1.vmdk"
pack_ova "$ID"
refused 'is not a regular file' "$DIR/$ID.ova"
# beside an OVF, a link leads elsewhere, too
rm "$DIR/$ID.d/$ID.mf"
refused "the disk '$ID-disk1.vmdk' is not beside it" "$DIR/$ID.d/$ID.ovf"

# --- images that name other files ---------------------------------------------------------------
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/secret" -F raw "$DIR/backing.qcow2"
refused "may be another guest's" "$DIR/backing.qcow2"
refused 'secret: not a disk: it is a text' "$DIR/backing.qcow2" --flatten
for extent in '/../secret' "$DIR/secret" 'nbd:127.0.0.1:10809' 'json:{}' 'linked.vmdk'; do
	ln -sf "$DIR/secret" "$DIR/linked.vmdk"
	printf '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 1 FLAT "%s" 0\n' "$extent" >"$DIR/evil.vmdk"
	refused "extent" "$DIR/evil.vmdk"
done
printf '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=87654321\ncreateType="monolithicFlat"\nRW 1 FLAT "secret" 0\n' >"$DIR/evil.vmdk"
refused 'a difference to another image' "$DIR/evil.vmdk"
echo '<domain type="kvm"><name>'"$ID"'</name><memory>262144</memory><os><type>hvm</type></os><devices><disk type="file"><driver type="qcow2"/><source file="'"$DIR"'/a.txt"/><target dev="vda"/></disk></devices></domain>' >"$DIR/d.xml"
mkdir "$DIR/another" # guest's disk, which whoever wrote the description would like to have
cp "$DIR/a.raw" "$DIR/another/b.raw"
sed "s|$DIR/a.txt|$DIR/another/b.raw|; s|qcow2|raw|" "$DIR/d.xml" >"$DIR/greedy.xml"
refused "the disk '$DIR/another/b.raw' is not beside it: name that file, too" "$DIR/greedy.xml"
cp "$DIR/a.raw" "$DIR/b.raw" # another that is called so
refused "the disk '$DIR/another/b.raw' is not beside it" "$DIR/greedy.xml"
import "$DIR/greedy.xml" "$DIR/another/b.raw" --dry-run || fail "$(<"$DIR/import.err")"
says "$DIR/import.out" "disk    $DIR/another/b.raw (raw" || fail "$(<"$DIR/import.out")"
rm -r "$DIR/another" "$DIR"/{b.raw,greedy.xml}
echo 'no disk' >"$DIR/a.txt"
printf 'config.version = "8"\nide0:0.present = "TRUE"\nide0:0.fileName = "/vmfs/one/a.raw"\nide0:1.present = "TRUE"\nide0:1.fileName = "/vmfs/two/a.raw"\n' >"$DIR/same.vmx"
refused 'the disks ide0:0 \(/vmfs/one/a.raw\) and ide0:1 \(/vmfs/two/a.raw\) would be the same file, a.raw: say of each which it is \(--disk ide0:1=FILE\)' "$DIR/same.vmx"
refused 'not a disk image' "$DIR/d.xml"
refused 'not a disk image' "$DIR/a.txt"

# --- images that take up time or memory -----------------------------------------------------------
python3 -S - "$DIR" <<'END'
import struct, sys
with open(sys.argv[1] + "/huge.vdi", "wb") as f: # a map of 2 GiB in a sparse file
    f.write(struct.pack("<64sII", b"<<< x >>>", 0xbeda107f, 0x00010001) + struct.pack("<II", 400, 1) + bytes(264) +
            struct.pack("<II12xI4xQIIII", 4096, 4096 + (1 << 31), 512, 1 << 45, 1 << 16, 0, 1 << 29, 0))
    f.truncate(4096 + (1 << 31))
with open(sys.argv[1] + "/huge.qcow2", "wb") as f: # 128 TiB
    f.write(struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 21, 1 << 47, 0, 1 << 5, 65536, 131072, 1, 0, 0))
    f.truncate(1 << 20)
END
refused 'no disk may have more than 64 TiB' "$DIR/huge.qcow2"
refused 'huge.vdi: .*qemu-img' "$DIR/huge.vdi"
rm "$DIR"/huge.*
# --- images that are cut off --------------------------------------------------------------------
bootable_disk "$DIR/boot.raw"
noise() { # FILE: with data from its beginning to its middle, so that what is cut off is missed
	head -c 8M /dev/urandom | dd of="$1" bs=1M seek=2 conv=notrunc status=none
}
python3 -S - "$DIR/small.raw" <<'END' # compresses to a half or so, and ends with that
import random, sys
with open(sys.argv[1], "wb") as f:
    f.write(b"\xfa" + bytes(509) + b"\x55\xaa" + bytes(65536 - 512) + bytes(random.choices(b"01", k=8 * 65536)))
END
noise "$DIR/boot.raw"
for format in $(some_of qcow2 vmdk vdi vhdx vpc); do
	"$QEMU_IMG" convert -f raw -O "$format" "$DIR/boot.raw" "$DIR/whole.$format"
	import "$DIR/whole.$format" --name "$ID-whole" --dry-run || fail "$format: $(<"$DIR/import.err")"
	size=$(stat -c %s "$DIR/whole.$format")
	for cut in $((size / 2)) 1024; do
		head -c $((size - cut)) "$DIR/whole.$format" >"$DIR/cut-off.$format"
		refused 'cut-off\..*(cut off|truncated)' "$DIR/cut-off.$format"
	done
	rm "$DIR/whole.$format" "$DIR/cut-off.$format"
done
# within the last cluster that is compressed, which no table of the image tells
for compression in zlib zstd; do
	"$QEMU_IMG" convert -c -f raw -O qcow2 -o compression_type=$compression "$DIR/small.raw" "$DIR/whole.qcow2" 2>"$DIR/convert" || continue
	import "$DIR/whole.qcow2" --name "$ID-whole" --dry-run || fail "$compression: $(<"$DIR/import.err")"
	for cut in 512 5000; do
		head -c $(($(stat -c %s "$DIR/whole.qcow2") - cut)) "$DIR/whole.qcow2" >"$DIR/cut-off.qcow2"
		refused 'cut-off.qcow2: cut off: the last compressed cluster is not whole' "$DIR/cut-off.qcow2"
	done
	rm "$DIR/whole.qcow2" "$DIR/cut-off.qcow2"
done
printf '# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 32768 FLAT "boot-flat.vmdk" 0\n' >"$DIR/boot.vmdk"
head -c 15M "$DIR/boot.raw" >"$DIR/boot-flat.vmdk"
refused 'the extent boot-flat.vmdk is cut off: it has 15728640 bytes of 16777216' "$DIR/boot.vmdk"
head -c 1000000 "$DIR/boot.raw" >"$DIR/cut.img"
refused 'cut.img: cut off: the 1000000 bytes end within a sector' "$DIR/cut.img"
# a partition of 8 MiB behind its first one, in a file of 4
python3 -S - "$DIR/cut.img" <<'END'
import struct, sys
with open(sys.argv[1], "wb") as f:
    f.write(b"\xfa" + bytes(445) + struct.pack("<BBBBBBBBII", 0x80, 0, 0, 0, 0x83, 0, 0, 0, 2048, 16384) + bytes(48) + b"\x55\xaa")
    f.truncate(4 << 20)
END
refused 'cut off: its partitions reach to byte 9437184, and it has 4194304' "$DIR/cut.img"
sed "s|qcow2|raw|; s|a.txt|cut.img|" "$DIR/d.xml" >"$DIR/raw.xml"
refused 'cut off: its partitions reach' "$DIR/raw.xml"
import "$DIR/cut.img" --raw "$DIR/cut.img" --name "$ID-cut" --dry-run || fail "$(<"$DIR/import.err")"
import "$DIR/raw.xml" --raw cut.img --dry-run || fail "$(<"$DIR/import.err")"

# --- files that are not disks --------------------------------------------------------------------
sectors() { # FILE: filled up to whole sectors
	truncate -s %512 "$1"
}
printf 'name: web\nmemory: 2048\nscsi0: local-lvm:vm-100-disk-0,size=32G\n' >"$DIR/settings.conf"
printf '%%PDF-1.7\n1 0 obj' >"$DIR/a.pdf"
cp "$BIN/vmferry" "$DIR/a.elf"
printf 'PK\3\4' >"$DIR/a.zip"
truncate -s 400K "$DIR/install.iso"
printf '\001CD001\001' | dd of="$DIR/install.iso" bs=1 seek=32768 conv=notrunc status=none
cp "$DIR/install.iso" "$DIR/hybrid.iso" # an ISO image that a BIOS starts from a disk, too
dd if="$DIR/boot.raw" of="$DIR/hybrid.iso" bs=512 count=1 conv=notrunc status=none
{ printf '\001' && head -c $((0xfffff)) /dev/urandom; } >"$DIR/random.img" # "<" would begin a text
for file in settings.conf a.pdf a.elf a.zip install.iso; do sectors "$DIR/$file"; done
tar -C "$DIR" -cf "$DIR/a.tar" settings.conf
while read -r file what; do
	refused "$what" "$DIR/$file"
done <<-END
	settings.conf not a disk: it is a text .--raw FILE takes it
	a.pdf not a disk: it is a PDF document
	a.elf not a disk: it is a program
	a.zip a zip archive
	install.iso not a disk: it is an ISO image
	hybrid.iso not a disk: it is an ISO image
	random.img nothing in it says that it is a disk
	a.tar a tar archive without an OVF
END
refused 'settings.conf: not a disk' "$DIR/boot.raw" "$DIR/settings.conf"
refused 'raw .*a.pdf: that is not a disk of this guest' "$DIR/boot.raw" --raw "$DIR/a.pdf"
for file in random.img hybrid.iso a.zip; do
	import "$DIR/$file" --raw "$DIR/$file" --name "$ID-said" --dry-run || fail "$file: $(<"$DIR/import.err")"
	grep -q "$file (raw" "$DIR/import.out" || fail "$(<"$DIR/import.out")"
done

# --- what cannot be ---------------------------------------------------------------------------
: >"$DIR/x.vmcx"
refused "Hyper-V's binary configuration.*Get-VM" "$DIR/x.vmcx"
refused 'cannot open .*/none.vhdx' "$DIR/none.vhdx"
refused 'describe a guest: one at a time' "$DIR/good.ova" "$DIR/d.xml"
refused 'is not a disk of the guest' "$DIR/good.ova" "$DIR/a.raw"
mkdir "$DIR/empty"
refused 'it is not a bundle, or one that was not finished; and no description of a guest is in it' "$DIR/empty"
rmdir "$DIR/empty"
printf 'config.version = "8"\nmemsize = "64"\nide1:0.present = "TRUE"\nide1:0.deviceType = "cdrom-image"\nide1:0.fileName = "a.iso"\n' >"$DIR/diskless.vmx"
refused 'diskless.vmx describes a guest without a disk: if that is meant, say --no-disk' "$DIR/diskless.vmx"
import "$DIR/diskless.vmx" --no-disk --dry-run || fail "$(<"$DIR/import.err")"
sed 's| ovf:fileRef="f1"||; /<References>/d' "$TOP/tests/data/import/blank-data-disk.ovf" >"$DIR/blank.ovf"
refused "describes a guest whose disks are all blank" "$DIR/blank.ovf"
import "$DIR/blank.ovf" --no-disk --dry-run || fail "$(<"$DIR/import.err")"
cp "$TOP/tests/data/import/virtualbox-arm.ovf" "$DIR/arm.ovf"
cp "$DIR/boot.raw" "$DIR/disk.vmdk"
refused 'arm.ovf: the processor is ARM' "$DIR/arm.ovf"
refuses 2 'is not qcow2 or raw' "$DIR/a.raw" --format vmdk
refuses 2 'is not user, bridge=BRIDGE or none, or one of these behind CARD=' "$DIR/a.raw" --net bridge=a,script=b
refuses 2 'needs a FILE'
echo mine >"$VM/$ID-taken.sh"
refused "$ID-taken.sh is there already, and nothing is written over" "$DIR/a.raw" --name "$ID-taken"
refused 'too long for a socket' "$DIR/a.raw" --name "$(printf 'x%.0s' {1..100})"
"$QEMU" -accel tcg -m 64 -display none -nodefaults -name "$ID-runs" </dev/null >"$DIR/runs.stderr" 2>&1 &
guest_adopt runs $!
listed() { vmferry list "$ID-runs" >/dev/null 2>&1; }
wait_for 60 listed || fail "the other guest does not run"
refused "a guest $ID-runs runs here already" "$DIR/a.raw" --name "$ID-runs"

# --- what fails later ---------------------------------------------------------------------------
refuses 1 'QEMU ended with status 1 while starting: .*nothing-like-that.*; nothing is left behind' "$DIR/a.raw" --name "$ID-fails" --start -- -device nothing-like-that

# a qemu-img of our own beside a QEMU: it does what it is told while it converts
mkdir "$DIR/bin"
ln -s "$QEMU" "$DIR/bin/qemu-real"
printf '#!/bin/sh\nexec %q "$@"\n' "$QEMU" >"$DIR/bin/qemu-system-x86_64"
cat >"$DIR/bin/qemu-img" <<-END
	#!/bin/bash
	[[ \$1 == convert || -s $DIR/bin/measured ]] || exec "$QEMU_IMG" "\$@"
	[[ \$1 == convert ]] || exec cat "$DIR/bin/measured"
	. "$DIR/bin/then"
END
chmod +x "$DIR/bin"/qemu-{img,system-x86_64}

# the child may read its image and next to nothing else, whoever runs it
cp "$DIR/bin/qemu-img" "$DIR/kept"
cat >"$DIR/bin/qemu-img" <<-END
	#!/bin/bash
	{
		echo "uid=\$UID"
		head -c 8 "$DIR/secret" || echo no secret
		(: <"$DIR/a.raw") && echo the image
		(: >"$DIR/written") || echo no file
		(: >>"$DIR/a.raw") || echo no image to write to
		(: </dev/tcp/127.0.0.1/1) || echo no network
		grep NoNewPrivs /proc/self/status || echo no proc
		ulimit -v; ulimit -t; ulimit -f
	} 2>/dev/null | tr '\n' ';' >&2
	exit 1
END
chmod 600 "$DIR/a.raw"
uid=65534
((UID == 0)) || uid=$UID
told=$(printf '%s;' "uid=$uid" 'no secret' 'the image' 'no file' 'no image to write to' 'no network' 'no proc' 1048576 30 0)
if grep -qs landlock /sys/kernel/security/lsm || python3 -S -c 'import ctypes; raise SystemExit(ctypes.CDLL(None).syscall(444, 0, 0, 1) < 1)'; then
	refused "qemu-img failed: $told" "$DIR/a.raw" --name "$ID-full" --qemu "$DIR/bin/qemu-system-x86_64"
else
	echo "skipped: no Landlock in this kernel"
fi
((UID)) || VMFERRY_FAULT=no-landlock:fail refused "qemu-img failed: ${told/no proc/NoNewPrivs:.1}" "$DIR/a.raw" --name "$ID-full" --qemu "$DIR/bin/qemu-system-x86_64"
# the converter is confined as well, and its image becomes no longer than one of that size can
echo '{"required": 419430400, "fully-allocated": 1073741824}' >"$DIR/bin/measured"
cat >"$DIR/bin/qemu-img" <<-END
	#!/bin/bash
	[[ \$1 == convert ]] || exec cat "$DIR/bin/measured"
	echo "\$(ulimit -f);\$(ulimit -t);\$(ulimit -v);\$UID" >&2
	exit 1
END
refuses 1 "qemu-img failed: $((1024 * 1024 + 4096 + 65536));130;1048576;$uid; nothing is left behind" "$DIR/a.raw" --name "$ID-full" \
	--qemu "$DIR/bin/qemu-system-x86_64"
mv "$DIR/kept" "$DIR/bin/qemu-img"
: >"$DIR/bin/measured"
export VMFERRY_SANDBOX=off # the sandbox is off, so that the stand-in can do what it is told to from here on

echo '{"required": 4611686018427387904, "fully-allocated": 4611686018427387904}' >"$DIR/bin/measured"
refused 'the disks need 4.0 EiB|the disks need [0-9.]* [A-Z]iB but .* free' "$DIR/a.raw" --name "$ID-full" --qemu "$DIR/bin/qemu-system-x86_64"
echo 'nonsense' >"$DIR/bin/measured"
refused 'says nothing of its size' "$DIR/a.raw" --name "$ID-full" --qemu "$DIR/bin/qemu-system-x86_64"
: >"$DIR/bin/measured"
echo 'echo "no space, says this" >&2; exit 1' >"$DIR/bin/then"
refuses 1 'no space, says this; nothing is left behind' "$DIR/a.raw" --name "$ID-full" --qemu "$DIR/bin/qemu-system-x86_64"
echo 'echo another >"${!#}.new"; mv "${!#}.new" "${!#}"; exit 1' >"$DIR/bin/then"
status=0
import "$DIR/a.raw" --name "$ID-left" --qemu "$DIR/bin/qemu-system-x86_64" || status=$?
assert_eq "$status" 4 "exit code when something is left"
grep -q "left behind: .*/vm/.$ID-left.qcow2.vmferry-draft-.*: another file by now" "$DIR/import.err" || fail "$(cat "$DIR/import.err")"
rm "$VM"/.$ID-left*

# an import of more than a second prints its progress
cat >"$DIR/bin/then" <<-END
	exec {never}<> <(:)
	until grep -qs ' 42%' "$DIR/import.err"; do printf '    (42.00/100%%)\\r'; read -rt 0.05 -u "\$never" || true; done
	exec "$QEMU_IMG" "\$@"
END
imports "$DIR/a.raw" --name "$ID-slow" --qemu "$DIR/bin/qemu-system-x86_64"
assert_same_content "$DIR/a.raw" raw "$VM/$ID-slow.qcow2" qcow2
grep -q "converting $ID-slow.qcow2 .*42%" "$DIR/import.err" || fail "$(cat "$DIR/import.err")"

# ended by a signal while it converts: the child goes, too
echo 'echo $$ >"'"$DIR"'/import.child"; exec sleep 1000' >"$DIR/bin/then"
before=$(everything)
"$BIN/vmferry" import "$DIR/a.raw" --disk-dir "$VM" --name "$ID-stops" --accel tcg --qemu "$DIR/bin/qemu-system-x86_64" </dev/null >"$DIR/import.out" 2>"$DIR/import.err" &
pid=$!
kill_at_exit "$pid"
wait_for 60 test -s "$DIR/import.child" || fail "it does not convert: $(cat "$DIR/import.err")"
kill_at_exit "$(<"$DIR/import.child")"
kill -TERM "$pid"
status=0
wait "$pid" || status=$?
assert_eq "$status" 1 "exit code when it is interrupted"
grep -q 'interrupted; nothing is left behind' "$DIR/import.err" || fail "$(cat "$DIR/import.err")"
wait_for 60 process_is_gone "$(<"$DIR/import.child")" || fail "qemu-img goes on"
[[ $before == "$(everything)" ]] || fail "an interrupted import leaves something: $(ls -A "$VM")"
