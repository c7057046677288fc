#!/bin/bash
# A guest goes on from directories with a space, a quote, a comma, or worse in their names, or in the names of the files that QEMU makes at
# the destination (sockets, a console's file, a pidfile). A move that is rolled back leaves none of them there, and removes nothing of
# others; a whole move puts everything at its place. The guest goes on from each such directory to the next.
. "$(dirname "$0")/../../lib/aftermath.sh"

FILES='a "log", b|a pid|a.console|a.mon|a.orders|a.qmp|a.raw|a.sh|b.raw' # at the destination, in the order of LC_ALL=C

move_into() { # DIRECTORY [OPTION...]
	mkdir -p "$1"
	move_start a local --disk-dir "$1" "${@:2}"
	TO=$1
}

cancel() {
	vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
	[[ $# -eq 0 ]] || "$@"
	move_wait 1
	assert_result 'r["guest"] == "source" and not r.get("left_behind")'
}

assert_all_there() { # DIRECTORY
	wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
	assert_eq "$(cd "$1" && LC_ALL=C ls -A | paste -sd '|')" "$FILES" "files in $1"
	cmp "$DIR/b.raw" "$1/b.raw" || fail "another disk in $1"
	assert_settled
}

as_json() { # TEXT
	python3 -S -c 'import json, sys; print(json.dumps(sys.argv[1]))' "$1"
}

head -c 16M /dev/urandom >"$DIR/a.raw"
head -c 1M /dev/urandom >"$DIR/b.raw"
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start a $(second_monitor a) \
	-blockdev "{\"driver\": \"raw\", \"node-name\": \"d0\", \"file\": {\"driver\": \"file\", \"filename\": $(as_json "$DIR/a.raw")}}" \
	-device virtio-blk-pci,drive=d0 -drive "file=$DIR/b.raw,format=raw,if=virtio" -pidfile "$DIR/a pid" -serial "file:$DIR/a \"log\", b"
SETTINGS=$(settings_of a)
to_local

# A search for a space, a quote or a comma would take this file's name for that of the second console's file.
fault dst-qemu-launched stop
move_into "$DIR/plain"
fault_wait
echo "of somebody else" >"$TO/a"
cancel fault_continue
assert_eq "$(ls -A "$TO")" a "what is left in $TO"
assert_eq "$(<"$TO/a")" "of somebody else"
rm "$TO/a"
assert_nothing_left

for name in 'sp ace' 'q"uote' 'com,ma' '$HOME;x&%d(ü)' 'back\slash' "x,server=on \"it's\" \$\\%"; do
	move_into "$DIR/$name" "${SLOW_DISKS[@]}"
	while_disks
	cancel
	assert_nothing_left
	move_into "$DIR/$name"
	move_wait
	assert_all_there "$DIR/$name"
done

# the script has all of the names in it
guest_stop a
rm "$TO/a.console"
bash "$TO/a.sh" </dev/null >"$DIR/again.log" 2>&1 &
guest_adopt a $!
ready() { grep -aqs '^witness ready' "$TO/a.console"; }
wait_for 60 ready || fail "the script does not start the guest: $(cat "$DIR/again.log")"
guest_verify "$(orders a)" blocks
