#!/bin/bash
# A running guest's read-only files are copied by their names: a guest whose QEMU has another file open than the one of that name is
# refused, and so is one whose medium needs another file. A change since QEMU read a file, when it started, is reported. A guest that keeps
# its memory in a file is refused, as no bundle can have that.
. "$(dirname "$0")/../../lib/export.sh"

refused() { # PATTERN
	local status=0
	vmferry export "$A" "$DIR/bundle" </dev/null >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
	assert_eq $status 3 "exit code, where it is to say '$1' ($(<"$DIR/export.err"))"
	says "$1" "$DIR/export.err"
	[[ ! -e $DIR/bundle ]] || fail "something is there: $(ls -A "$DIR/bundle")"
}

starts() { # OPTION...: a guest that halts at once
	"$QEMU" -accel tcg -machine "q35,nvdimm=on" -m 64,slots=1,maxmem=1G -display none -nodefaults -no-user-config -name "$A" $(second_monitor "$A") \
		-drive "if=pflash,format=raw,readonly=on,file=$DIR/code.fd" "$@" </dev/null >"$DIR/$A.stderr" 2>&1 &
	guest_adopt "$A" $!
	wait_for 60 monitor_answers "$DIR/$A.mon" || fail "the guest does not start: $(<"$DIR/$A.stderr")"
}

for name in cd.iso fixed.raw code.fd rom other; do head -c 256K /dev/urandom >"$DIR/$name"; done
printf '\xfa\xf4\xeb\xfd' | dd of="$DIR/code.fd" bs=1 seek=$((256 * 1024 - 16)) conv=notrunc status=none # cli; hlt; jmp
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/other" -F raw "$DIR/based.iso"
starts -drive "file=$DIR/cd.iso,media=cdrom,id=cd" -option-rom "$DIR/rom" \
	-drive "file=$DIR/fixed.raw,format=raw,if=none,id=fixed,readonly=on" -device virtio-blk-pci,drive=fixed
for name in cd.iso fixed.raw code.fd; do
	mv "$DIR/$name" "$DIR/kept"
	cp "$DIR/other" "$DIR/$name"
	refused "$name was replaced, or removed, since the guest started"
	mv "$DIR/kept" "$DIR/$name"
done
export_guest "$A" "$DIR/bundle"
cmp "$DIR/cd.iso" "$DIR"/bundle/file*-cd.iso
! grep -q 'rom.* was changed' "$DIR/export.out" || fail "nothing was changed: $(<"$DIR/export.out")"
rm -r "$DIR/bundle"

is_older_than_clocks_tell() {
	[[ $(ps -o etimes= -p "${GUEST_PID[$A]}") -gt 4 ]]
}
wait_for 60 is_older_than_clocks_tell
cp "$DIR/other" "$DIR/rom"
export_guest "$A" "$DIR/bundle"
says "note.*rom .* was changed since its QEMU read it" "$DIR/export.out"
rm -r "$DIR/bundle"
guest_stop "$A"

starts -drive "file=$DIR/based.iso,media=cdrom"
refused "the media of the guest: $DIR/based.iso: the image has a backing file"
export_guest "$A" "$DIR/bundle" --no-media
rm -r "$DIR/bundle"
guest_stop "$A"

truncate -s 16M "$DIR/kept"
starts -device nvdimm,memdev=kept -object "memory-backend-file,id=kept,size=16M,mem-path=$DIR/kept,share=on"
refused "memory that it keeps \\(nvdimm\\), in $DIR/kept"
