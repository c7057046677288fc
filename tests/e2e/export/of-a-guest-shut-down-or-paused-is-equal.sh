#!/bin/bash
# A guest that is shut down is exported by its script, or its command line; one that is paused, by its name, and stays so. Disks come out equal, raw
# with its holes; what is compressed is smaller; nothing of theirs is touched. Not while it runs, nor while somebody writes to them.
# tier: gate
. "$(dirname "$0")/../../lib/export.sh"

ISO=$DIR/medium.iso
head -c 3000000 /dev/urandom >"$ISO"
mkdir "$DIR/src"
pair_disks "$A"
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/$A.b" -F qcow2 "$DIR/src/top.qcow2"
"${QEMU_IMG%/*}/qemu-io" -f qcow2 -c 'write -P 0x77 2M 1M' "$DIR/src/top.qcow2" >/dev/null
"$QEMU_IMG" snapshot -c before "$DIR/src/top.qcow2"
"$QEMU_IMG" bitmap --add "$DIR/src/top.qcow2" backup
mv "$DIR/$A.a" "$DIR/src/a.raw"
LINE=(-accel tcg -machine q35 -m 64 -name "$A" -display none -nodefaults -drive file="$DIR/src/a.raw,format=raw,if=virtio"
	-drive file="$DIR/src/top.qcow2,format=qcow2,if=virtio" -drive file="$ISO,media=cdrom" -qmp "unix:$DIR/src/$A.qmp,server=on,wait=off")
{
	printf '#!/bin/sh\ncd / || exit\nexec %s' "$QEMU"
	printf ' %q' "${LINE[@]}"
	echo
} >"$DIR/src/a.sh"
chmod 700 "$DIR/src/a.sh"
before=$(everything "$DIR/src")

same() { # compares disks of the guest imported as $ID-new
	"$QEMU_IMG" compare -U -q -f raw -F raw "$DIR/src/a.raw" "$VMS/$ID-new-1.raw" || fail "the raw disk is another"
	"$QEMU_IMG" compare -U -q -f qcow2 -F qcow2 "$DIR/src/top.qcow2" "$VMS/$ID-new-2.qcow2" || fail "the disk with a base is another"
	[[ $("$QEMU_IMG" info -U "$VMS/$ID-new-2.qcow2") != *backing* ]] || fail "it has a base still"
	[[ $(allocated "$VMS/$ID-new-1.raw") -lt 8000000 ]] || fail "its holes are gone"
	[[ ! -e $VMS/$ID-new-file0-medium.iso ]] || cmp "$ISO" "$VMS/$ID-new-file0-medium.iso" || fail "the medium is another"
}

says_what_stays() {
	says "the snapshots inside $DIR/src/top.qcow2 are not in the bundle" "$DIR/export.out"
	says "the dirty bitmaps inside $DIR/src/top.qcow2 are not in the bundle" "$DIR/export.out"
	! grep -q 'inside.*a.raw' "$DIR/export.out" || fail "of a disk without any: $(<"$DIR/export.out")"
}

export_guest "$DIR/src/a.sh" "$DIR/bundle"
says_what_stays
export_guest "$DIR/src/a.sh" "$DIR/packed" --compress --no-media
says 'medium.iso is not in the bundle' "$DIR/export.out"
[[ $(stat -c %s "$DIR/packed/disk1.qcow2") -lt $(stat -c %s "$DIR/bundle/disk1.qcow2") ]] || fail "--compress does nothing"
"$QEMU_IMG" info "$DIR/packed/disk1.qcow2" | grep -q '^ *compression type: zstd' || fail "its codec: $("$QEMU_IMG" info "$DIR/packed/disk1.qcow2")"

# by a qemu-img that knows no zstd
mkdir "$DIR/bin" "$DIR/old"
ln -s "$(realpath "$QEMU")" "$DIR/bin/${QEMU##*/}"
printf '#!/bin/sh\ncase "$*" in *zstd*) echo "no such compression type" >&2; exit 1 ;; esac\nexec %q "$@"\n' "$QEMU_IMG" >"$DIR/bin/qemu-img"
chmod 755 "$DIR/bin/qemu-img"
sed "s|exec $QEMU|exec $DIR/bin/${QEMU##*/}|" "$DIR/src/a.sh" >"$DIR/old/a.sh"
chmod 700 "$DIR/old/a.sh"
export_guest "$DIR/old/a.sh" "$DIR/packed-by-old" --compress
"$QEMU_IMG" info "$DIR/packed-by-old/disk1.qcow2" | grep -q '^ *compression type: zlib' || fail "an older qemu-img was not used, or does not compress"
"$QEMU_IMG" compare -q -f qcow2 -F qcow2 "$DIR/src/top.qcow2" "$DIR/packed-by-old/disk1.qcow2" || fail "the disk that an older qemu-img packed is another"
mkdir "$DIR/line"
vmferry export "$DIR/line" -- "$QEMU" "${LINE[@]}" >"$DIR/export.out" 2>"$DIR/export.err" || fail "by its line: $(<"$DIR/export.err")"
! vmferry export "$DIR/none" -- "$QEMU" "${LINE[@]}" -fsdev proxy,id=f >"$DIR/export.out" 2>"$DIR/export.err" || fail "with a device that is another process's"
says 'the guest has -fsdev proxy: another process' "$DIR/export.err"
assert_eq "$(everything "$DIR/src")" "$before" "its files"
vmferry export "$DIR/src/a.sh" - --compress </dev/null 2>/dev/null >"$DIR/stream.tar" || fail "as a stream"
assert_eq "$(tar tf "$DIR/stream.tar" | head -n 2 | xargs)" "vmferry-bundle.json README" "what a stream begins with"

imports "$DIR/bundle" --name "$ID-new"
same
[[ -e $VMS/$ID-new-file0-medium.iso ]] || fail "the medium is not there"
rm "$VMS"/*
for file in "$DIR/packed" "$DIR/line" "$DIR/stream.tar"; do
	imports "$file" --name "$ID-new" --paused
	same
	assert_eq "$(status_of "$VMS/$A.qmp")" prelaunch "state with --paused"
	end_process "$IMPORTED"
	rm -f "$VMS"/*
done
imports "$DIR/packed" --name "$ID-new" --paused
[[ $(qmp "$VMS/$A.qmp" '{"execute": "query-block"}') != *medium* ]] || fail "the medium that was left out is in the drive"
end_process "$IMPORTED"
rm -f "$VMS"/*

# a disk that cannot be brought onto stable storage
: >"$DIR/errors-on"
status=0
LD_PRELOAD=$BIN/shared/error.so ERRORS="sync 1 5 disk1.qcow2" ERRORS_SEEN=$DIR/errors-seen ERRORS_WHILE=$DIR/errors-on \
	"$BIN/shared/vmferry" export "$DIR/src/a.sh" "$DIR/unsynced" >/dev/null 2>"$DIR/export.err" || status=$?
assert_eq $status 1 "exit code where a disk cannot be synced"
says 'disk1.qcow2.*: Input/output error' "$DIR/export.err"
[[ ! -e $DIR/unsynced ]] || fail "what is not whole is there: $(ls -A "$DIR/unsynced")"

# to a place that is not empty, or not there
for to in "$DIR/bundle" "$DIR/none/there"; do
	status=0
	vmferry export "$DIR/src/a.sh" "$to" >/dev/null 2>"$DIR/export.err" || status=$?
	assert_eq $status 3 "exit code for $to"
done

# somebody has a disk open for writing
exec 9<>"$DIR/src/a.raw"
status=0
vmferry export "$DIR/src/a.sh" "$DIR/other" >/dev/null 2>"$DIR/export.err" || status=$?
exec 9>&-
assert_eq $status 3 "exit code while a disk is open for writing"
says 'open for writing' "$DIR/export.err"

# paused; while it runs its files are its own
"$DIR/src/a.sh" </dev/null >"$DIR/a.log" 2>&1 &
kill_at_exit $!
wait_for 60 eval '[[ $(status_of "$DIR/src/$A.qmp" 2>/dev/null) == running ]]' || fail "the guest does not start: $(<"$DIR/a.log")"
status=0
vmferry export "$DIR/src/a.sh" "$DIR/other" >/dev/null 2>"$DIR/export.err" || status=$?
assert_eq $status 3 "exit code of a guest at rest that runs"
says 'in use' "$DIR/export.err"
qmp "$DIR/src/$A.qmp" '{"execute": "stop"}' >/dev/null
status=0
vmferry export "$A" "$DIR/paused" --freeze require </dev/null >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
assert_eq $status 3 "exit code of a freeze of a guest that stands"
says 'its agent cannot answer' "$DIR/export.err"
export_guest "$A" "$DIR/paused"
says_what_stays
says '\(paused\)' "$DIR/export.out"
assert_eq "$(status_of "$DIR/src/$A.qmp")" paused "state after its export"
imports "$DIR/paused" --name "$ID-new"
same

# compressed as it is copied, in one go
rm -f "$VMS"/*
export_guest "$A" "$DIR/packed-live" --compress --no-media
"$QEMU_IMG" check "$DIR/packed-live/disk1.qcow2" | grep -q ' [1-9][0-9.]*% compressed' || fail "$("$QEMU_IMG" check "$DIR/packed-live/disk1.qcow2")"
imports "$DIR/packed-live" --name "$ID-new"
same
