#!/bin/bash
# An import that is killed leaves hidden files; the next one of that name removes them and says so, and not those of one that is still at it, nor
# what only looks like them.
. "$(dirname "$0")/../../lib/export.sh"

{ head -c 512 /dev/zero; head -c 8388096 /dev/urandom; } >"$DIR/disk.raw" # random bytes, which look like no known format

hidden() { # prints them
	find "$VMS" -name '.*.vmferry-draft-*' -printf '%f\n' | sort
}

killed_at() { # POINT: an import
	local status=0
	VMFERRY_FAULT=$1:kill try_import "$DIR/disk.raw" --name "$A" --no-start </dev/null || status=$?
	assert_eq "$status" 137 "exit code of an import that is killed at $1"
}

imported() { # the whole guest, and nothing else of that name
	"$QEMU_IMG" convert -O raw "$VMS/$A.qcow2" "$DIR/back.raw"
	cmp "$DIR/disk.raw" "$DIR/back.raw" || fail "the disk is another"
	[[ -x $VMS/$A.sh ]] || fail "there is no $A.sh"
}

for point in made-1 made-2; do
	killed_at "$point"
	assert_eq "$(hidden | wc -l)" "${point#made-}" "hidden files that are left at $point"
	[[ ! -e $VMS/$A.qcow2 && ! -e $VMS/$A.sh ]] || fail "what is not whole has its name"
	imports "$DIR/disk.raw" --name "$A" --no-start
	says "removed $VMS/.$A.qcow2.vmferry-draft-[0-9a-f]{8} \(.*\), which one that was killed had left" "$DIR/import.err"
	assert_eq "$(hidden)" "" "hidden files after the next import"
	imported
	rm "$VMS/$A".*
done

process_that_has() { # FILE: prints the first, but for one that has it for a moment
	local fd
	for fd in /proc/[0-9]*/fd/*; do
		[[ $(readlink "$fd") == "$1" && $(<"/proc/$(cut -d/ -f3 <<<"$fd")/comm") == qemu* ]] || continue
		cut -d/ -f3 <<<"$fd"
		return
	done 2>/dev/null
	return 1
}

# recover removes the same.
recovers() { # STATUS TEXT
	local status=0
	vmferry recover "$A" >"$DIR/recover.log" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code of recover ($(<"$DIR/recover.log"))"
	says "$2" "$DIR/recover.log"
	assert_eq "$(vmferry journal)" "" "journals after recover"
}
vmferry recover >"$DIR/recover.log" 2>&1 || true # remnants of earlier imports
[[ -z $(vmferry journal) ]] || fail "$(vmferry journal)"
killed_at made-2
vmferry journal | grep -q "^$A (shut down) -> $VMS, attempt" || fail "it is not listed: $(vmferry journal)"
recovers 0 'recovered: what it had made .* is removed'
assert_eq "$(ls -A "$VMS")" "" "what is there after recover"
killed_at named-1
recovers 0 'recovered: what it had made .* is removed'
assert_eq "$(ls -A "$VMS")" "" "what is there after recover"
killed_at named-1
echo more >>"$VMS/$A.qcow2" # somebody has taken it over
recovers 0 'was written to since, and stays'
assert_eq "$(ls -A "$VMS")" "$A.qcow2" "what is there after recover"
rm "$VMS/$A.qcow2"
status=0
VMFERRY_FAULT=first-start:kill try_import "$DIR/disk.raw" --name "$A" --start --accel tcg --qemu "$QEMU" </dev/null || status=$?
assert_eq "$status" 137 "exit code of an import that is killed while it starts the guest"
recovers 0 "the guest's QEMU was started, process [0-9]+"
imported_qemu=$(grep -o 'process [0-9]*' "$DIR/recover.log" | cut -d' ' -f2)
[[ $(tr '\0' ' ' <"/proc/$imported_qemu/cmdline") == *"$VMS/$A.qcow2"* ]] || fail "that process is another"
kill_at_exit "$imported_qemu"
kill "$imported_qemu"
wait_for 60 process_is_gone "$imported_qemu" || fail "it does not end"
imported
rm -f "$VMS/$A".*
status=0 # a whole import is the user's, whatever becomes of its names
VMFERRY_FAULT=first-start:kill try_import "$DIR/disk.raw" --name "$A" --start --accel tcg --qemu "$QEMU" </dev/null || status=$?
assert_eq "$status" 137 "exit code of an import that is killed while it starts the guest"
wait_for 60 eval 'process_that_has "$VMS/$A.qcow2" >"$DIR/pid"' || fail "its QEMU does not start"
imported_qemu=$(<"$DIR/pid")
kill_at_exit "$imported_qemu"
kill "$imported_qemu"
wait_for 60 process_is_gone "$imported_qemu" || fail "it does not end"
sed -i '1a # edited' "$VMS/$A.sh"
recovers 0 'all was made before .*, and stays'
imported
rm -f "$VMS/$A".*
killed_at named-1
exec 5<"$VMS/$A.qcow2" # somebody looks at it
status=0
vmferry recover "$A" >"$DIR/recover.log" 2>&1 || status=$?
exec 5<&-
assert_eq "$status" 4 "exit code of recover where a disk is in use ($(<"$DIR/recover.log"))"
says "$A.qcow2 is open in process" "$DIR/recover.log"
[[ -e $VMS/$A.qcow2 ]] || fail "a disk that is in use is gone"
recovers 0 'recovered: what it had made .* is removed'
assert_eq "$(ls -A "$VMS")" "" "what is there after recover"
killed_at made-1
draft=$VMS/$(hidden)
python3 -S -c 'import os, sys; os.removexattr(sys.argv[1], "user.vmferry.draft")' "$draft" # a file system without extended attributes
status=0
vmferry recover "$A" >"$DIR/recover.log" 2>&1 || status=$?
assert_eq "$status" 4 "exit code of recover where a draft stays ($(<"$DIR/recover.log"))"
says "$draft" "$DIR/recover.log"
rm "$draft"
recovers 0 'recovered: what it had made .* is removed'
for point in made-1 named-1; do # a directory that somebody renames meanwhile has it still
	killed_at "$point"
	mv "$VMS" "$VMS-renamed"
	recovers 0 "the directory of $VMS/.*$A\.(qcow2|sh).* is gone"
	rm -r "$VMS-renamed"
	mkdir "$VMS"
done
killed_at named-2
recovers 0 'all was made before .*, and stays'
imported
rm "$VMS/$A".*

# Somebody starts the guest before its import does: the disk is not removed below that QEMU.
VMFERRY_FAULT=named-2:stop "$BIN/vmferry" import "$DIR/disk.raw" --disk-dir "$VMS" --name "$A" --start --accel tcg --qemu "$QEMU" \
	>"$DIR/first.out" 2>"$DIR/first.err" </dev/null &
first=$!
kill_at_exit "$first"
wait_for 60 eval 'grep -q "^State:.T" /proc/$first/status' || fail "it does not come to that: $(<"$DIR/first.err")"
sh "$VMS/$A.sh" >"$DIR/sh.log" 2>&1 </dev/null &
wait_for 60 eval 'process_that_has "$VMS/$A.qcow2" >"$DIR/pid"' || fail "the guest does not start: $(<"$DIR/sh.log")"
imported_qemu=$(<"$DIR/pid")
kill_at_exit "$imported_qemu"
wait_for 60 test -S "$VMS/$A.qmp" || fail "it has no monitor"
kill -CONT "$first"
status=0
wait "$first" || status=$?
assert_eq "$status" 4 "exit code of the one whose guest runs ($(<"$DIR/first.err"))"
says "$VMS/$A.qcow2 is (open in process|locked)" "$DIR/first.err"
recovers 0 'all was made before .*, and stays'
kill "$imported_qemu"
wait_for 60 process_is_gone "$imported_qemu" || fail "it does not end"
imported
rm -f "$VMS/$A".*

# An import that has given its disk its name: the next import refuses to write over that disk, and removes nothing of it.
killed_at named-1
status=0
try_import "$DIR/disk.raw" --name "$A" --no-start </dev/null || status=$?
assert_eq "$status" 3 "exit code where the disk is there"
says "$A.qcow2" "$DIR/import.err"
rm "$VMS/$A.qcow2"
imports "$DIR/disk.raw" --name "$A" --no-start
says "removed $VMS/.$A.sh.vmferry-draft-" "$DIR/import.err"
assert_eq "$(hidden)" "" "hidden files after the next import"
imported
rm "$VMS/$A".*

# Files that stay: an import's that runs, a file with a name of another length, a link, and another guest's file.
VMFERRY_FAULT=made-2:stop "$BIN/vmferry" import "$DIR/disk.raw" --disk-dir "$VMS" --name "$A" --no-start >"$DIR/first.out" 2>"$DIR/first.err" </dev/null &
first=$!
kill_at_exit "$first"
wait_for 60 eval 'grep -q "^State:.T" /proc/$first/status' || fail "it does not come to that: $(<"$DIR/first.err")"
touch "$VMS/.$A.qcow2.vmferry-draft-"{0123456,012345678,01234567} "$VMS/.$A-b.qcow2.vmferry-draft-01234567" "$VMS/$A.qcow2.vmferry-draft-01234567"
ln -s "$DIR/disk.raw" "$VMS/.$A.qcow2.vmferry-draft-89abcdef"
python3 -S -c 'import os, sys; os.setxattr(sys.argv[1], "user.vmferry.draft", b"")' "$VMS/.$A.qcow2.vmferry-draft-0123456" # marked, and no name of ours
echo theirs >"$VMS/.$A.sh.vmferry-01234567" # a name as a move that ends here gives its files
before=$(hidden)
imports "$DIR/disk.raw" --name "$A" --no-start
imported
assert_eq "$(hidden)" "$before" "hidden files"
assert_eq "$(<"$VMS/.$A.sh.vmferry-01234567")" theirs "the draft of another"
[[ -e $DIR/disk.raw && ! -s $DIR/import.err ]] || fail "what it says: $(<"$DIR/import.err")"
kill -CONT "$first"
wait_for 60 process_is_gone "$first" || fail "the first does not end"
status=0
wait "$first" || status=$?
assert_eq "$status" 1 "exit code of the one whose names are taken ($(<"$DIR/first.err"))"
says 'nothing is left behind' "$DIR/first.err"
imported
rm "$VMS"/.* "$VMS"/*

# Imports from a stream, and exports to one, leave nothing.
vmferry export "$DIR/bundle" -- "$QEMU" -accel tcg -machine q35 -m 64 -name "$A" -display none -nodefaults \
	-drive file="$DIR/disk.raw,format=raw,if=virtio" -qmp "unix:$DIR/$A.qmp,server=on,wait=off" >"$DIR/export.out" 2>"$DIR/export.err" ||
	fail "$(<"$DIR/export.err")"
tar -C "$DIR/bundle" --format=ustar -cf "$DIR/stream" vmferry-bundle.json README disk0.qcow2

spools() { # DIRECTORY NAME: prints them
	find "$1" -maxdepth 1 -name "$2-??????" -printf '%f\n' | sort
}

status=0
VMFERRY_FAULT=made-1:kill try_import "$DIR/stream" </dev/null || status=$?
assert_eq "$status" 137 "exit code of an import that is killed"
left=$(spools "$VMS" .vmferry-import)
[[ -s $VMS/$left/disk0.qcow2 ]] || fail "nothing is left: $(ls -A "$VMS")"
imports "$DIR/stream"
says "removed $VMS/$left, which one that was killed had left" "$DIR/import.err"
assert_eq "$(ls -A "$VMS")" "$(printf '%s\n' "$A.raw" "$A.sh")" "what is there after the next import"
rm "$VMS"/*

VMFERRY_FAULT=made-1:stop "$BIN/vmferry" import "$DIR/stream" --disk-dir "$VMS" >"$DIR/first.out" 2>"$DIR/first.err" </dev/null &
first=$!
kill_at_exit "$first"
wait_for 60 grep -q '^State:.T' "/proc/$first/status" || fail "it does not come to that: $(<"$DIR/first.err")"
left=$(spools "$VMS" .vmferry-import)
imports "$DIR/stream"
[[ -s $VMS/$left/disk0.qcow2 && ! -s $DIR/import.err ]] || fail "what one has that is at it is gone: $(<"$DIR/import.err")"
kill -KILL "$first"

to_stream() {
	vmferry export - -- "$QEMU" -accel tcg -machine q35 -m 64 -name "$A" -display none -nodefaults \
		-drive file="$DIR/disk.raw,format=raw,if=virtio" -qmp "unix:$DIR/$A.qmp,server=on,wait=off" >"$DIR/stream" 2>"$DIR/export.err" </dev/null
}

# The directory is renamed while an import is at it, which fails then.
rm -r "$VMS"
mkdir "$VMS"
VMFERRY_FAULT=made-2:stop "$BIN/vmferry" import "$DIR/disk.raw" --disk-dir "$VMS" --name "$A" --no-start >"$DIR/first.out" 2>"$DIR/first.err" </dev/null &
first=$!
kill_at_exit "$first"
wait_for 60 grep -q '^State:.T' "/proc/$first/status" || fail "it does not come to that: $(<"$DIR/first.err")"
mv "$VMS" "$VMS-renamed"
kill -CONT "$first"
status=0
wait "$first" || status=$?
assert_eq "$status" 4 "exit code of the one whose directory is gone ($(<"$DIR/first.err"))"
says "$VMS-renamed/.$A.qcow2.vmferry-draft-.*, as $VMS/.* was called" "$DIR/first.err"
rm -r "$VMS-renamed"
mkdir "$VMS"
vmferry recover >/dev/null || fail "recover fails"

# A bundle that somebody calls as a stream's directory is called.
cp -r "$DIR/bundle" "$TMPDIR/vmferry-export-friday"
chmod 700 "$TMPDIR/vmferry-export-friday"
status=0
VMFERRY_FAULT=made-1:kill to_stream || status=$?
assert_eq "$status" 137 "exit code of an export that is killed"
left=$(spools "$TMPDIR" vmferry-export | grep -v friday)
[[ -n $left ]] || fail "nothing is left: $(ls -A "$TMPDIR")"
to_stream || fail "$(<"$DIR/export.err")"
says "removed $TMPDIR/$left, which one that was killed had left" "$DIR/export.err"
diff -r "$DIR/bundle" "$TMPDIR/vmferry-export-friday" || fail "somebody's bundle is gone"
assert_eq "$(ls -A "$TMPDIR")" vmferry-export-friday "what is there after the next export"

# An export that is killed while it sends its stream: nothing of that stays.
vmferry recover >"$DIR/recover.log" 2>&1 || fail "$(<"$DIR/recover.log")"
status=0
VMFERRY_FAULT=named-3:kill to_stream || status=$?
assert_eq "$status" 137 "exit code of an export that is killed"
recovers 0 'recovered: what it had made .* is removed'
assert_eq "$(ls -A "$TMPDIR")" vmferry-export-friday "what is there after recover"
