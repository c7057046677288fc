#!/bin/bash
# A guest that is shut down moves: raw, with holes and of an odd size; qcow2 with snapshot, bitmap and base; encrypted. Each file is the same
# there, bit for bit; what started it here does so no more, what is written for it there does. Back again, little travels.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/cold.sh"

guest_at_rest
cd "$DIR/src"
vmferry migrate a.sh local --how cold --disk-dir "$DIR" --dry-run --json >"$DIR/move.json" 2>"$DIR/move.log" || fail "by its name here: $(tail -n 1 "$DIR/move.log")"
to_listener
cold "$DIR/src" "$DEST"
assert_lies_in "$TO"
[[ ! -e $TO/secret ]] || fail "the guest has chosen a file of this host that was carried"
assert_nothing_unfinished
assert_result 'r["outcome"] == "migrated" and r["verified"] and r["how"] == "cold"'
assert_result 'r["set_aside"]["from"].endswith("/src/a.sh")'
[[ -e $(result 'r["set_aside"]["to"]') ]] || fail "the script is gone"
[[ $(allocated "$TO/a.raw") -lt 6000000 ]] || fail "the holes were filled: $(allocated "$TO/a.raw")"
assert_eq "$(stat -c %a "$TO/c.qcow2")" "$(stat -c %a "$DIR/src/c.qcow2")" "mode"
"$QEMU_IMG" snapshot -l "$TO/b.qcow2" | grep -q before || fail "the snapshot is gone"
assert_sound "$TO/b.qcow2"

# The guest runs there, on all its disks, from the script alone.
"$TO/a.sh" </dev/null >"$DIR/a.out" 2>&1 &
guest=$!
kill_at_exit $guest
wait_for 60 eval '[[ $(status_of "$MONITOR" 2>/dev/null) == running ]]' || fail "the guest does not start there: $(<"$DIR/a.out")"

# A guest that runs is refused; nothing is touched.
first=$TO
cold_start "$first" local
cold_wait 3
assert_result '"in use: a QEMU" in r["reason"] and "by its name or pid" in r["reason"]'
qmp "$MONITOR" '{"execute": "quit"}' >/dev/null
wait_for 60 process_is_gone $guest || fail "QEMU does not end"
(cd "$first" && md5sum $IMAGES) >"$DIR/sums" # the image's bitmap says that it was in use

# Back to where it came from: by --reuse auto what has changed travels, and the old files are replaced.
cold_start "$first" local --disk-dir "$DIR/src" --reuse auto
TO=$DIR/src
cold_wait
assert_lies_in "$DIR/src"
assert_result 'sum(d["bytes_wire"] for d in r["disks"]) < 1000000' "bytes that travelled"

# By its command line, and started there; with a floppy, which it can write to.
head -c 1440K /dev/urandom >"$DIR/src/floppy.img"
rm "$DIR/src/a.sh"
MOVES=$((MOVES + 1)) TO=$DIR/d$MOVES
mkdir "$TO"
cd "$DIR/src"
vmferry migrate local --how cold --start --disk-dir "$TO" --json -- "$QEMU" -accel tcg -machine pc -m 64 -name a -fda floppy.img -display none -nodefaults \
	-no-user-config -drive file=a.raw,format=raw,if=virtio -drive "file=$DIR/src/b.qcow2,format=qcow2,if=virtio" -qmp unix:a.qmp,server=on,wait=off \
	>"$DIR/move.json" 2>"$DIR/move.log" || fail "$(tail -n 3 "$DIR/move.log")"
kill_at_exit "$(result 'r["started_pid"]')"
wait_for 60 eval '[[ $(status_of "$MONITOR" 2>/dev/null) == running ]]' || fail "the guest was not started there"
assert_eq "$(qmp "$MONITOR" '{"execute": "query-block"}' | grep -o "$TO/[ab][.a-z0-9]*" | sort -u | xargs)" "$TO/a.raw $TO/b.qcow2 $TO/base.qcow2" "its disks"
cmp "$DIR/src/floppy.img" "$TO/floppy.img" || fail "its floppy is another"
qmp "$MONITOR" '{"execute": "query-block"}' | grep -q "$TO/floppy.img" || fail "it has no floppy there"

# A guest whose QEMU ends at once has moved all the same, and the result says so.
mkdir "$DIR/fails" "$DIR/fails/there"
cd "$DIR/fails"
head -c 64K /dev/urandom >fails.raw
cat >qemu-system-x86_64 <<END
#!/bin/sh
case "\$*" in *fails.raw*) echo "no luck today" >&2; exit 1 ;; esac
exec $QEMU "\$@"
END
chmod +x qemu-system-x86_64
vmferry migrate local --how cold --start --disk-dir "$DIR/fails/there" --json -- "$DIR/fails/qemu-system-x86_64" -machine pc -m 64 -name fails -nodefaults \
	-display none -drive file=fails.raw,format=raw,if=virtio >"$DIR/move.json" 2>"$DIR/move.log" || fail "$(tail -n 3 "$DIR/move.log")"
assert_result '"was run, and ended at once: no luck today" in r["after_error"] and "started_pid" not in r'
