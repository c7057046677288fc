#!/bin/bash
# A bundle of which any file, or the manifest, is not as it was is refused, and nothing of it is left; so is one whose names lead elsewhere, whose
# command line names files of this host, or which is a stream that is cut off, has more in it, or has something else first.
# timeout: 300
# takes: 40
# tier: gate
. "$(dirname "$0")/../../lib/export.sh"

head -c 1M /dev/urandom >"$DIR/a.raw"
head -c 100k /dev/urandom >"$DIR/rom"
vmferry export "$DIR/bundle" -- "$QEMU" -accel tcg -machine q35 -m 64 -name "$A" -display none -nodefaults \
	-drive file="$DIR/a.raw,format=raw,if=virtio" -option-rom "$DIR/rom" -qmp "unix:$DIR/$A.qmp,server=on,wait=off" \
	>"$DIR/export.out" 2>"$DIR/export.err" || fail "$(<"$DIR/export.err")"
tar -C "$DIR/bundle" --format=ustar -cf "$DIR/good.tar" vmferry-bundle.json README disk0.qcow2 file0-rom
MANIFEST=vmferry-bundle.json

damaged() { # a copy, in DIR/bad
	rm -rf "$DIR/bad"
	cp -r "$DIR/bundle" "$DIR/bad"
}

edit() { # PYTHON STATEMENTS about m, the manifest
	damaged
	python3 -S - "$DIR/bad/$MANIFEST" "$1" <<-'END'
		import json, sys
		m = json.load(open(sys.argv[1]))
		exec(sys.argv[2])
		json.dump(m, open(sys.argv[1], "w"))
	END
}

stream() { # DIRECTORY [MEMBER...]: DIR/bad.tar
	tar -C "$1" --format=ustar --hard-dereference -cf "$DIR/bad.tar" "${@:2}"
}

flip() { # FILE OFFSET
	python3 -S -c 'import sys
f = open(sys.argv[1], "r+b"); f.seek(int(sys.argv[2])); b = f.read(1); f.seek(int(sys.argv[2])); f.write(bytes([b[0] ^ 1]))' "$1" "$2"
}

imports "$DIR/good.tar" # the good one is
rm "$VMS"/*

for file in disk0.qcow2 file0-rom; do
	damaged
	flip "$DIR/bad/$file" 70000
	refuses 3 "$file is damaged: its SHA-256" "$DIR/bad"
	stream "$DIR/bad" $MANIFEST README disk0.qcow2 file0-rom
	refuses 1 "$file is damaged: its SHA-256.*nothing is left" "$DIR/bad.tar"
	damaged
	echo >>"$DIR/bad/$file"
	refuses 3 "$file is damaged: it has not the length" "$DIR/bad"
	stream "$DIR/bad" $MANIFEST disk0.qcow2 file0-rom
	refuses 1 "$file is damaged: it has not the length" "$DIR/bad.tar"
	damaged
	rm "$DIR/bad/$file"
	refuses 3 "$file cannot be read" "$DIR/bad"
	stream "$DIR/bad" $MANIFEST README $(ls "$DIR/bad" | grep -e ^disk -e ^file)
	refuses 1 "$file is not in the stream" "$DIR/bad.tar"
	ln -s "$DIR/bundle/$file" "$DIR/bad/$file"
	refuses 3 "$file cannot be read: not a regular file" "$DIR/bad"
done

damaged
rm "$DIR/bad/$MANIFEST"
refuses 3 'not finished' "$DIR/bad"
damaged
truncate -s -10 "$DIR/bad/$MANIFEST"
refuses 3 "$MANIFEST: it is no manifest" "$DIR/bad"
edit 'm["version"] = 2'
refuses 3 'version 2, which this vmferry does not know' "$DIR/bad"
edit 'm["needs"] = ["memory"]'
refuses 3 "needs 'memory'" "$DIR/bad"
edit 'm["needs"] = ["what nobody knows"]'
refuses 3 "needs 'what nobody knows'" "$DIR/bad"
edit 'm["unheard"] = {"of": 1}'
imports "$DIR/bad"
rm "$VMS"/*
for name in ../rom /etc/hostname .hidden "$MANIFEST" README; do
	edit "m['files'][0]['file'] = '$name'"
	refuses 3 'not the name of a file in a bundle' "$DIR/bad"
done
edit 'm["files"][0]["file"] = "disk0.qcow2"'
refuses 3 "two are called" "$DIR/bad"
edit 'm["disks"][0]["virtual_bytes"] += 512'
refuses 3 'as the manifest says' "$DIR/bad"
edit 'm["disks"][0]["format"] = "vmdk"'
refuses 3 'neither raw nor qcow2' "$DIR/bad"
edit 'm["qemu"]["program"] = "/tmp/evil"'
refuses 3 'is no QEMU' "$DIR/bad"
edit 'm["argv"] += ["-drive", "file=/etc/passwd,format=raw,if=virtio"]'
refuses 3 'names the disk /etc/passwd, which is not in the bundle' "$DIR/bad"
edit 'm["argv"] += ["-fw_cfg", "name=opt/x,file=/etc/passwd"]'
refuses 3 '/etc/passwd, which is not in the bundle' "$DIR/bad"
edit 'm["argv"] += ["-netdev", "tap,id=n0,script=/no/such/script"]'
refuses 3 'needs the script /no/such/script' "$DIR/bad"

# options that may lead out of the bundle need the user's consent (unit/test-line-trust has the spellings)
for more in '"-global", "e1000.romfile=/etc/passwd"' '"-device", "usb-mtp,rootdir=/etc"' '"-plugin", "/etc/passwd"' \
	'"-device", "{\"driver\": \"u2f-emulated\", \"dir\": \"/etc\"}"' '"-serial", "file:/dev/../etc/x"' '"-L", "/etc", "-bios", "/etc/passwd"' \
	'"-qmp", "tcp:0.0.0.0:4444,server=on,wait=off"' '"-netdev", "passt,id=n0,path=bash,quiet=off,param=-c,param=id"'; do
	edit "m['argv'] += [$more]"
	refuses 3 'names|trust-line' "$DIR/bad" --dry-run
done
edit 'm["argv"] += ["-qmp", "tcp:0.0.0.0:4444,server=on,wait=off", "-device", "usb-mtp,rootdir=/etc"]'
try_import "$DIR/bad" --dry-run --trust-line </dev/null || fail "$(<"$DIR/import.err")"
says '^  port    -qmp tcp:0.0.0.0:4444.*a monitor' "$DIR/import.out"
says '^  host    -device usb-mtp,rootdir=/etc: ' "$DIR/import.out"
edit 'm["argv"] += ["-L", "/etc", "-bios", "bios-256k.bin", "-netdev", "user,id=n0,hostfwd=tcp::2222-:22,guestfwd=tcp:10.0.2.9:1-tcp:127.0.0.1:22", "-tpmdev", "passthrough,id=t"]'
try_import "$DIR/bad" --dry-run </dev/null || fail "$(<"$DIR/import.err")"
says '^  port    -netdev user,hostfwd=tcp::2222-:22: ' "$DIR/import.out"
says '^  host    -netdev user,guestfwd=.*127.0.0.1:22' "$DIR/import.out"
says '^  host    -tpmdev passthrough' "$DIR/import.out"
says '^  note    -L is left out' "$DIR/import.out"
! grep -qe '^ *-L' "$DIR/import.out" || fail "its -L is on the line: $(<"$DIR/import.out")"

truncate -s 16M "$DIR/nv"
hold_open "$DIR/nv"
for device in 'm["argv"] += []' 'm["argv"] += ["-machine", "nvdimm=on", "-device", "nvdimm,id=nv,memdev=kept"]'; do
	edit "m['argv'] += ['-object', 'memory-backend-file,id=kept,size=16M,share=on,mem-path=$DIR/nv']; $device"
	refuses 3 "memory is to be in the file $DIR/nv, which process $HOLDER has open: its original, perhaps" "$DIR/bad"
done
cp "$DIR/nv" "$DIR/nv2" # no process has the file open
edit "m['argv'] += ['-object', 'memory-backend-file,id=kept,size=16M,share=on,mem-path=$DIR/nv2']; $device"
refuses 3 "memory that it keeps \(nvdimm\), in $DIR/nv2, which is not in the bundle" "$DIR/bad"
edit "m['argv'] += ['-object', 'memory-backend-file,id=kept,size=16M,share=on,mem-path=$DIR/nv2']"
refuses 3 "--clone: its memory is to be in the file $DIR/nv2, as its original's is" "$DIR/bad" --clone
imports "$DIR/bad"
rm "$VMS"/*

# an image that names another file: as a disk, in a disk that is raw, and as a medium
redigest() { # FILE of the bundle
	python3 -S - "$DIR/bad" "$1" <<-'END'
		import hashlib, json, os, sys
		path, manifest = os.path.join(*sys.argv[1:]), os.path.join(sys.argv[1], "vmferry-bundle.json")
		m = json.load(open(manifest))
		(f,) = [f for f in m["disks"] + m["files"] if f["file"] == sys.argv[2]]
		f.update(sha256=hashlib.sha256(open(path, "rb").read()).hexdigest(), bytes=os.path.getsize(path))
		json.dump(m, open(manifest, "w"))
	END
}

"$QEMU_IMG" create -q -f qcow2 -b "$DIR/a.raw" -F raw "$DIR/based.qcow2" 1M
damaged
cp "$DIR/based.qcow2" "$DIR/bad/disk0.qcow2"
redigest disk0.qcow2
refuses 3 'backing|based on|another' "$DIR/bad"
cp "$DIR/based.qcow2" "$DIR/inner.raw"
truncate -s 1M "$DIR/inner.raw"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/inner.raw" "$DIR/bad/disk0.qcow2"
redigest disk0.qcow2
refuses 1 'the image has a backing file.*nothing is left' "$DIR/bad"
edit 'm["argv"] = [word.replace("format=raw", "format=qcow2") for word in m["argv"]]'
refuses 3 'takes the disk disk0.qcow2 for qcow2, and its manifest for raw' "$DIR/bad"
edit "m['argv'] += ['-drive', 'file=$DIR/a.raw,format=raw,if=virtio']"
refuses 3 'names the disk disk0.qcow2 more than once' "$DIR/bad"
for from in "$DIR/rom" "$DIR/based.qcow2"; do
	edit 'm["files"].append(dict(m["files"][0], file="file1-cd", role="media", path="/cd.iso", real_path="/cd.iso"))
m["argv"] += ["-cdrom", "/cd.iso"]'
	cp "$from" "$DIR/bad/file1-cd"
	redigest file1-cd
	if [[ $from == *rom ]]; then
		imports "$DIR/bad"
		rm "$VMS"/*
	else
		refuses 1 'the image has a backing file.*nothing is left' "$DIR/bad"
	fi
done

# a small image that takes more than there is room for: one cluster, compressed, in each place
room_mib=$(df --output=avail -B1M "$VMS" | tail -n 1)
damaged
python3 -S - "$DIR/bad/disk0.qcow2" $((room_mib / 512 + 2)) <<'END'
import struct, sys, zlib
tables = int(sys.argv[2]) # each of 8192 places of 64 KiB
z = zlib.compressobj(9, zlib.DEFLATED, -12)
cluster = z.compress(b"x" * 65536) + z.flush()
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, tables << 29, 0, tables, 1 << 18, 65536, 1, 0, 0))
    f.seek(2 << 16); f.write(struct.pack(">Q", 1 << 62 | 3 << 16) * 8192)
    f.seek(3 << 16); f.write(cluster)
    f.seek(1 << 18); f.write(struct.pack(">Q", 2 << 16) * tables)
    f.truncate((f.tell() + 65535) // 65536 * 65536)
END
redigest disk0.qcow2
python3 -S - "$DIR/bad/$MANIFEST" $((room_mib / 512 + 2)) <<'END'
import json, sys
m = json.load(open(sys.argv[1]))
m["disks"][0]["virtual_bytes"] = int(sys.argv[2]) << 29
json.dump(m, open(sys.argv[1], "w"))
END
refuses 3 'the disks need .* has only .* free' "$DIR/bad"
stream "$DIR/bad" $MANIFEST disk0.qcow2 file0-rom
refuses 1 'the disks need .* has only .* free; nothing is left behind' "$DIR/bad.tar"

# streams
stream "$DIR/bundle" README $MANIFEST disk0.qcow2 file0-rom
refuses 3 'tar|OVF|manifest' "$DIR/bad.tar"
cp "$DIR/a.raw" "$DIR/bundle/stranger"
stream "$DIR/bundle" $MANIFEST README disk0.qcow2 stranger file0-rom
refuses 1 "member 'stranger', which the manifest does not name" "$DIR/bad.tar"
stream "$DIR/bundle" $MANIFEST disk0.qcow2 file0-rom disk0.qcow2
refuses 1 "two members 'disk0.qcow2'" "$DIR/bad.tar"
head -c 300000 "$DIR/good.tar" >"$DIR/bad.tar"
refuses 1 'cut off' "$DIR/bad.tar"
mkdir "$DIR/links"
cp "$DIR/bundle/$MANIFEST" "$DIR/links"
ln -s /etc/passwd "$DIR/links/disk0.qcow2"
stream "$DIR/links" $MANIFEST disk0.qcow2
refuses 1 'not a regular file' "$DIR/bad.tar"
status=0
head -c 200000 "$DIR/good.tar" | try_import - || status=$?
assert_eq $status 1 "exit code of a stream that is cut off"
assert_eq "$(ls -A "$VMS")" "" "what is left of it"
status=0
try_import - </dev/null || status=$?
assert_eq $status 3 "exit code of an empty stream"
