#!/bin/bash
# One image is made of a qcow2 and its backing files: those that lie beside its description, and others if the user names them or lets all
# be read. Another file of this host never gets into a guest by an image that names it, and all of a base's own bases must be there, too.
# timeout: 300
. "$(dirname "$0")/../../lib/import.sh"

bootable_disk "$DIR/boot.raw"
mkdir "$DIR/images" "$DIR/bases"
cd "$DIR/images"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/boot.raw" base.qcow2
"$QEMU_IMG" create -q -f qcow2 -b base.qcow2 -F qcow2 middle.qcow2
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/images/middle.qcow2" -F qcow2 top.qcow2
"$(dirname "$QEMU_IMG")/qemu-io" -c 'write -P 7 5M 64k' middle.qcow2 >/dev/null
"$(dirname "$QEMU_IMG")/qemu-io" -c 'write -P 9 6M 64k' top.qcow2 >/dev/null
"$QEMU_IMG" convert -O raw top.qcow2 "$DIR/whole.raw"
cd "$TOP"

same() { # NAME
	"$QEMU_IMG" compare -q -f qcow2 -F raw "$VM/$1.qcow2" "$DIR/whole.raw" || fail "$1 has another disk"
	! "$QEMU_IMG" info "$VM/$1.qcow2" | grep -q backing || fail "$1 is on another image"
}

refuses 3 "which may be another guest's: name it" "$DIR/images/top.qcow2"
cat >"$DIR/images/a.xml" <<-END
	<domain type='kvm'><name>$ID-beside</name><memory unit='MiB'>128</memory><os><type arch='x86_64' machine='q35'>hvm</type></os>
	 <devices><disk type='file'><driver type='qcow2'/><source file='$DIR/images/top.qcow2'/><target dev='vda' bus='virtio'/></disk></devices></domain>
END
own=$DIR/images/a.xml
imports "$own"
says "$DIR/import.out" "the image top.qcow2 is on middle.qcow2 and others: one image is made of them" || fail "$(<"$DIR/import.out")"
same "$ID-beside"

# --- what the description says of it counts, too ----------------------------------------------------
on() { # <backingStore> of the disk: prints the description
	sed "s:<target dev='vda'.*/>:$1&:" "$own"
}
middle="<backingStore type='file'><format type='qcow2'/><source file='/elsewhere/middle.qcow2'/>"
base="<backingStore type='file'><format type='qcow2'/><source file='/elsewhere/base.qcow2'/><backingStore/></backingStore>"
on "$middle$base</backingStore>" >"$DIR/images/both.xml"
imports "$DIR/images/both.xml" --name "$ID-both"
same "$ID-both"
on "$middle<backingStore/></backingStore>" >"$DIR/images/one.xml"
refuses 3 "says that the disk vda is on nothing further .*, and the image itself, top.qcow2, on base.qcow2: the guest would have" "$DIR/images/one.xml" --name "$ID-refused"
on "$middle${base//base/other}</backingStore>" >"$DIR/images/other.xml"
refuses 3 "says that the disk vda is on other.qcow2 .*, on base.qcow2" "$DIR/images/other.xml" --name "$ID-refused"
on "<backingStore/>" >"$DIR/images/none.xml"
refuses 3 "says that the disk vda is on nothing further .*, on middle.qcow2" "$DIR/images/none.xml" --name "$ID-refused"
sed 's:top.qcow2:base.qcow2:' "$DIR/images/both.xml" >"$DIR/images/lost.xml"
refuses 3 "says that the disk vda is on middle.qcow2 .*, base.qcow2, on nothing further" "$DIR/images/lost.xml" --name "$ID-refused"
rm "$DIR/images"/{both,one,other,none,lost}.xml

mv "$DIR/images/base.qcow2" "$DIR/bases"
refuses 3 "middle.qcow2 has a backing file, base.qcow2, which is not beside it: name it \(--base FILE\)" "$own" --name "$ID-refused"
imports "$own" --base "$DIR/bases/base.qcow2" --name "$ID-named"
same "$ID-named"
"$QEMU_IMG" rebase -u -f qcow2 -F qcow2 -b "$DIR/bases/base.qcow2" "$DIR/images/middle.qcow2"
refuses 3 "has a backing file, $DIR/bases/base.qcow2, which is not beside it" "$own" --name "$ID-refused"
imports "$DIR/images/top.qcow2" --flatten --name "$ID-all"
same "$ID-all"

# --- what a stranger's image may not have -----------------------------------------------------------
ln -s "$DIR/bases/base.qcow2" "$DIR/images/link.qcow2"
"$QEMU_IMG" rebase -u -f qcow2 -F qcow2 -b link.qcow2 "$DIR/images/middle.qcow2"
refuses 3 "has a backing file, link.qcow2, which is not beside it" "$own" --name "$ID-refused"
printf 'a secret of this host, in a file of 512 bytes%467s' '' >"$DIR/images/secret"
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/images/secret" -F raw "$DIR/images/greedy.qcow2"
refuses 3 "secret: not a disk: it is a text" "$DIR/images/greedy.qcow2" --flatten
"$QEMU_IMG" create -q -f qcow2 "$DIR/images/remote.qcow2" 16M
"$QEMU_IMG" rebase -u -f qcow2 -F raw -b nbd://127.0.0.1:10809/x "$DIR/images/remote.qcow2"
refuses 3 "is on 'nbd://127.0.0.1:10809/x', which is not a file" "$DIR/images/remote.qcow2" --flatten
"$QEMU_IMG" rebase -u -f qcow2 -F qcow2 -b round.qcow2 "$DIR/images/remote.qcow2"
mv "$DIR/images/remote.qcow2" "$DIR/images/round.qcow2"
refuses 3 "is on more than 32 others" "$DIR/images/round.qcow2" --flatten

# --- and all of it must be there --------------------------------------------------------------------
mv "$DIR/bases/base.qcow2" "$DIR/images"
"$QEMU_IMG" rebase -u -f qcow2 -F qcow2 -b base.qcow2 "$DIR/images/middle.qcow2"
truncate -s $(($(stat -c %s "$DIR/images/base.qcow2") / 2)) "$DIR/images/base.qcow2"
refuses 3 "base.qcow2: cut off" "$DIR/images/top.qcow2" --flatten
