#!/bin/bash
# A file at a disk's place is taken for an old copy, and replaced, only if it belongs to nobody else: not the disk of another move that has
# not started its QEMU yet, not a file that another guest left behind, and not one file for two disks. The command that --script prints
# means the same as the one that was asked for.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

disk() { # FILE
	mkdir -p "$(dirname "$1")"
	head -c 8M /dev/urandom >"$1"
}
start() { # NAME
	disk "$DIR/of-$1/disk.raw"
	MEM=128 WITNESS="ram_mb=4 rate=100 disks=vda disk_mb=4 disk_rate=20" tiny_start "$1" $(guest_drive d0 "$DIR/of-$1/disk.raw" raw)
}
start a
start b
disk "$DIR/t/disk.raw"

fault dst-qemu-forked stop
move_start a local --disk-dir "$DIR/t" --reuse "$DIR/t/disk.raw"
TO=$DIR/t
fault_wait
status=0
vmferry migrate "${GUEST_PID[b]}" local --disk-dir "$DIR/t" --reuse "$DIR/t/disk.raw" </dev/null >"$DIR/b.out" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of the second move"
said b.out 'disk.raw is open in'
fault_continue
move_wait
guest_verify "$(orders a)" blocks
assert_eq "$(cd "$DIR/t" && ls ./*disk*)" ./disk.raw "the old copy is gone"

move_start b local --disk-dir "$DIR/of-a" --reuse auto
move_wait 3
grep -q 'disk.raw exists already.*no earlier move of this guest left it there' "$DIR/move.json" || fail "what another guest left was taken, or it does not say why not"

PATH=$BIN:$PATH
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/of-a" --reuse auto --script >"$DIR/script" 2>"$DIR/script.log"
grep -q -- "--reuse $DIR/t/disk.raw=auto" "$DIR/script" || fail "another --reuse: $(grep reuse "$DIR/script")"
sh "$DIR/script" </dev/null >"$DIR/script.out" 2>&1 || fail "the script ends with $?: $(tail -n 2 "$DIR/script.out")"
guest_adopt a "$(pgrep -f "^[^ ]*/qemu-system-[^ ]* .*$DIR/of-a/")"
GUEST_AT[a]=$DIR/of-a
guest_verify "$(orders a)" blocks

disk "$DIR/x/disk.raw"
disk "$DIR/y/disk.raw"
MEM=128 WITNESS="ram_mb=4 rate=100 disks=" tiny_start c $(guest_drive d0 "$DIR/x/disk.raw" raw) $(guest_drive d1 "$DIR/y/disk.raw" raw)
move_start c local --disk-dir "$DIR/t" --reuse d0="$DIR/t/disk.raw" --reuse d1="$DIR/t/disk.raw"
move_wait 3
grep -q 'two disks would go to' "$DIR/move.json" || fail "two disks at one place"
