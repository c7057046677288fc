#!/bin/bash
# A guest that is shut down is not moved when somebody has a disk of it open, when another move has it, when what starts it does more than that,
# when something is in the way at the destination, or when it changes on the way: each with a sentence, and nothing is touched.
# takes: 35
# tier: gate
. "$(dirname "$0")/../../lib/cold.sh"

refused() { # PATTERN [OPTION...]
	cold_start "$DIR/src" "${DEST:-local}" "${@:2}"
	cold_wait 3
	result 'r["reason"]' | grep -q "$1" || fail "not '$1': $(result 'r["reason"]')"
	assert_untouched
}

go_on_fast() { # unless the change was seen already
	vmferry set a bwlimit=0 >/dev/null 2>"$DIR/set.err" || grep -q 'too late: the move is being rolled back' "$DIR/set.err" || fail "$(<"$DIR/set.err")"
}

guest_at_rest

hold_open "$DIR/src/c.qcow2"
refused "c.qcow2 is open in process $HOLDER: it must be left alone"
end_process "$HOLDER"
exec {writer}>>"$DIR/src/base.qcow2"
refused 'base.qcow2 is open for writing somewhere'
exec {writer}>&-

# The first bytes of a raw disk are the guest's own; bases of two disks may not be confused.
mkdir -p "$DIR/src/other"
cp -a "$DIR/src/"{b,base}.qcow2 "$DIR/src/other/"
"$QEMU_IO" -f qcow2 -c 'write -P 0x44 1M 1M' "$DIR/src/other/base.qcow2" >/dev/null
mv "$DIR/src/other/b.qcow2" "$DIR/src/other/d.qcow2"
sed -i "s|c.qcow2,format=qcow2,encrypt.*|other/d.qcow2,format=qcow2,if=virtio \\\\|" "$DIR/src/a.sh"
refused 'two backing files of the guest, which differ, would both be'
sed -i 's|d.qcow2,format=qcow2|d.qcow2,format=vmdk|' "$DIR/src/a.sh"
refused 'has the format vmdk, which may lie in more files'
cp -a "$DIR/src/other/d.qcow2" "$DIR/src/other/d.img"
sed -i 's|other/d.qcow2,format=vmdk|other/d.img|' "$DIR/src/a.sh"
refused 'd.img names other files, and nothing says which format it has'
rm "$DIR/src/other/d.img"
sed -i 's|other/d.img|other/d.qcow2|' "$DIR/src/a.sh" # its name says that
refused 'two backing files of the guest, which differ, would both be'
make_script "$DIR/src"
"$DIR/src/a.sh" </dev/null &>/dev/null &
guest=$!
kill_at_exit $guest
wait_for 60 eval '[[ $(status_of "$DIR/src/a.qmp" 2>/dev/null) == running ]]' || fail "the guest does not start"
cold_start "$DIR/src" local
cold_wait 3
result 'r["reason"]' | grep -q 'in use: a QEMU.*by its name or pid' || fail "$(result 'r["reason"]')"
end_process $guest
rm -f "$DIR/src/a.qmp"
(cd "$DIR/src" && md5sum $IMAGES) >"$DIR/sums" # the bitmap says that it was in use

# QEMU takes a firmware from where it is started before it takes one of its own
echo firmware >"$DIR/src/OVMF.fd"
status=0
(cd "$DIR/src" && "$BIN/vmferry" check local -v --how cold --disk-dir "$DIR/to" -- "$QEMU" -name x -M q35 -bios OVMF.fd -drive file=c.qcow2,format=qcow2,if=virtio) >"$DIR/own.out" 2>&1 || status=$?
[[ $status == 0 ]] && grep -q "$DIR/src/OVMF.fd (bios" "$DIR/own.out" && grep -q '^x can be moved to local' "$DIR/own.out" || fail "$status: $(<"$DIR/own.out")"
rm "$DIR/src/OVMF.fd"

sed -i 's/-m 64/-m $(cat size)/' "$DIR/src/a.sh" # more than plain words: it would be run to see what it starts
chmod o+w "$DIR/src/a.sh"
refused 'a.sh is not believed, as others than this user may write to it'
chmod o-w "$DIR/src/a.sh"
make_script "$DIR/src"
sed -i '/^cd /d; s/-m 64/-m 64 -kernel vmlinuz/' "$DIR/src/a.sh" # relative to which directory: this one, or root's?
refused 'kernel vmlinuz is a name without a directory'
make_script "$DIR/src"
sed -i 's/-m 64/-m 64 -incoming file:state/' "$DIR/src/a.sh"
refused 'was saved.*start it, and move it as it runs'
make_script "$DIR/src"
mv "$DIR/src/base.qcow2" "$DIR/"
cold_start "$DIR/src" local
cold_wait 3
result 'r["reason"]' | grep -q 'the backing file base.qcow2 of .*b.qcow2 is not there' || fail "$(result 'r["reason"]')"
mv "$DIR/base.qcow2" "$DIR/src/"
refused 'needs a guest that runs' --chain flatten

# Two at once: one has it.
cold_start "$DIR/src" local --bwlimit 64K --reconnect-timeout 0
first=$MOVE_PID
wait_event 'ev["event"] == "progress" and ev["stage"] == "prepare" and ev["how"] == "cold" and ev["eta_s"] > 0' >/dev/null
status=0
vmferry migrate "$DIR/src/a.sh" local --how cold --disk-dir "$DIR/base" --json >"$DIR/second.json" 2>/dev/null || status=$?
assert_eq "$status" 3 "exit code of the second"
grep -q 'in use: a QEMU, or another move\|move of this guest is under way' "$DIR/second.json" || fail "$(tail -n 1 "$DIR/second.json")"
kill_now "$first" # the agent at this host ends with it
wait_for 60 eval '! pgrep -f "vmferry-dst.*$DIR|vmferry .*$TO" >/dev/null' || fail "the destination's agent stays"
recover 1
assert_untouched

# Somebody changes it on the way: rolled back, with its new contents.
cold_start "$DIR/src" local --bwlimit 1M --json=fine
wait_event 'ev["event"] == "progress" and ev["stage"] in ("copy", "switchover")' >/dev/null
! "$QEMU_IO" -f raw -c "read 0 512" "$TO/a.raw" &>/dev/null || fail "others may have its files at the destination already"
printf y | dd of="$DIR/src/a.raw" bs=1 seek=3 conv=notrunc status=none
go_on_fast
cold_wait 1
result 'r["reason"]' | grep -q 'a.raw was written to, or replaced, while it was copied' || fail "$(result 'r["reason"]')"
(cd "$DIR/src" && md5sum $IMAGES) >"$DIR/sums"
assert_untouched

# Somebody who asks for no lock writes to it on the way, or has it open, and leaves no other trace.
cold_start "$DIR/src" local --bwlimit 1M --json=fine
wait_event 'ev["event"] == "progress" and ev["stage"] in ("copy", "switchover")' >/dev/null
then=$(stat -c %y "$DIR/src/a.raw")
printf y | dd of="$DIR/src/a.raw" bs=1 seek=4 conv=notrunc status=none
touch -d "$then" "$DIR/src/a.raw"
go_on_fast
cold_wait 1
(cd "$DIR/src" && md5sum $IMAGES) >"$DIR/sums"
assert_untouched
cold_start "$DIR/src" local --bwlimit 1M --json=fine
wait_event 'ev["event"] == "progress" and ev["stage"] in ("copy", "switchover")' >/dev/null
exec {writer}<>"$DIR/src/a.raw"
go_on_fast
cold_wait 1
result 'r["reason"]' | grep -q 'a.raw was opened for writing while it was copied' || fail "$(result 'r["reason"]')"
exec {writer}>&-
assert_untouched

# A file that is in the way there stays.
echo mine >"$DIR/mine"
cold_start "$DIR/src" local --disk "b.qcow2=$DIR/mine"
cold_wait 3
result 'r["reason"]' | grep -q 'mine exists already at the destination' || fail "$(result 'r["reason"]')"
assert_eq "$(<"$DIR/mine")" mine "what was there"
assert_untouched
