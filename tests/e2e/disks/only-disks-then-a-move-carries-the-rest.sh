#!/bin/bash
# --only-disks: the disks of a guest that runs, of both formats, are copied and kept there, and it stays. The same command again carries what it has
# written since, whether it runs or is paused; so does a plain move, after which nothing is kept, wherever it was; so it is after a recover. What would
# not be kept, or is for a move alone, is refused with a sentence.
# takes: 30
# tier: gate
. "$(dirname "$0")/../../lib/partial.sh"

brought() { # [OPTION...]: to the same place
	move_start a "$DEST" --disk-dir "$DIR/there" --only-disks "$@"
	TO=$DIR/there
	move_wait
	assert_result 'r["outcome"] == "disks-copied" and r["where"] == "source" and r["how"] == "disks" and "reason" not in r'
	assert_result 'len(r["leftovers"]) == 3 and all("is kept until" in s for s in r["leftovers"])'
	assert_eq "$(cd "$TO" && ls -A | sed 's/vmferry-[0-9a-f]*/ID/' | sort | xargs)" "a.raw.ID-partial b.qcow2.ID-partial c.raw.ID-partial" "what is kept"
	assert_eq "$(find "$VMFERRY_STATE_DIR" -name '*-src.journal')" "" "unfinished journals here"
	wait_for 60 is_alone || fail "not alone: $(ours | xargs -r ps -o pid=,args= -p)"
	assert_eq "$(settings_of a)" "$SETTINGS" "settings of QEMU"
}

refused() { # STATUS TEXT [OPTION...]
	local status=0
	vmferry migrate "${GUEST_PID[a]}" "$DEST" --disk-dir "$DIR/elsewhere" --only-disks "${@:3}" </dev/null >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" "$1" "exit code with ${*:3} ($(<"$DIR/out"))"
	grep -q -- "$2" "$DIR/out" || fail "with ${*:3} it does not say '$2': $(<"$DIR/out")"
}

mkdir "$DIR/elsewhere" "$DIR/there"
head -c 24M /dev/urandom >"$DIR/a.raw"
"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/a.raw" "$DIR/b.qcow2"
truncate -s 8M "$DIR/c.raw" # next to nothing is in it
head -c 2M /dev/urandom >"$DIR/cd.iso"
MEM=256 WITNESS="ram_mb=16 rate=200 disks=vda,vdb disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) \
	$(guest_drive d1 "$DIR/b.qcow2" qcow2) $(guest_drive d2 "$DIR/c.raw" raw) \
	-drive "file=$DIR/cd.iso,format=raw,if=none,id=cd,media=cdrom" -device ide-cd,drive=cd,id=cdd \
	$(second_monitor a)
SETTINGS=$(settings_of a)
to_listener

assert_rest_came() { # Checks the first two; the bytes that the guest has written since depend on the time that this took.
	assert_result "all(d['bytes_kept'] > (18 << 20) and d['bytes_wire'] < d['bytes_read'] - d['bytes_kept'] + (1 << 20) for d in r['disks'][:2])"
}

for how in --hold "--at +1h" "--revert-within 1h" --install-unit; do
	refused 2 "with --only-disks the guest stays here" $how
done
refused 2 "--keep-partial needs 1 or more" --reconnect-timeout 0
refused 2 "--force is for a guest that is shut down for its move" --force
assert_eq "$(ls -A "$DIR/elsewhere")" "" "files at the destination"

brought
assert_result "all(d['bytes_wire'] > (20 << 20) for d in r['disks'][:2])"
assert_result 'not plan.get("files") and not plan.get("nics")' "what the guest needs there besides"
assert_eq "$(status_of "$(free_monitor a)")" running "QEMU's run state"
writes=$(disk_ops a)
wait_for 60 has_disk_ops a $((writes + 40)) || fail "the guest writes nothing any more"
brought --keep-partial 2h
assert_rest_came
qmp "$DIR/a.mon" '{"execute": "stop"}' >/dev/null
brought
assert_result 'r["guest_text"] == "on the source, paused as it was"'
qmp "$DIR/a.mon" '{"execute": "cont"}' >/dev/null

is_cut_off_elsewhere() { # Cuts off a move elsewhere, which keeps a part of the disk there.
	vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
	move_wait 4
	assert_result 'r["kept"] == len(r["leftovers"]) > 0'
	[[ -n $(ls -A "$DIR/elsewhere") ]] || fail "nothing is kept elsewhere"
}

begins_elsewhere() {
	move_start a "$DEST" --disk-dir "$DIR/elsewhere" --only-disks --bwlimit 2M
	wait_event 'ev["event"] == "progress" and ev["stage"] == "copy"' >/dev/null
}

# the QEMU that writes them at the destination is no guest, and one that arrives is called that
begins_elsewhere
helper=$(pgrep -f "qemu-system.*$DIR/.*/helper.qmp") || fail "no QEMU helps to write the qcow2 disk"
vmferry list >"$DIR/out"
! grep -F "(pid $helper)" "$DIR/out" || fail "list takes vmferry's own QEMU for a guest: $(<"$DIR/out")"
is_cut_off_elsewhere
recover 0
said recover.log "removed what was kept at $DEST of the disks of a"
assert_eq "$(ls -A "$DIR/elsewhere")" "" "what is kept elsewhere after a recover"
assert_eq "$(ls -A "$DIR/there" | wc -l)" 3 "how much is kept of the others"

# the move itself, as anybody says it: cancelled, and then not
vmferry check "${GUEST_PID[a]}" "$DEST" --disk-dir "$DIR/there" --keep-partial no </dev/null >"$DIR/out" 2>&1
! grep -q "is kept at\|goes on from" "$DIR/out" || fail "$(<"$DIR/out")"
vmferry check "${GUEST_PID[a]}" "$DEST" --disk-dir "$DIR/there" </dev/null >"$DIR/out" 2>&1
grep -q "anything that is still kept at $DEST of the guest's disks is used" "$DIR/out" && grep -q "goes on from what an earlier move has left" "$DIR/out" || fail "$(<"$DIR/out")"
move_start a "$DEST" --disk-dir "$DIR/there" --bwlimit 2M
TO=$DIR/there
wait_event 'ev["event"] == "progress" and ev["stage"] == "copy"' >/dev/null
vmferry list >"$DIR/out"
grep -q 'cannot be moved: the guest is arriving: vmferry moves it here' "$DIR/out" || fail "list: $(<"$DIR/out")"
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 4
assert_result 'r["outcome"] == "rolled-back" and len([s for s in r["leftovers"] if "is kept until" in s]) >= 2'
begins_elsewhere
is_cut_off_elsewhere
move_start a "$DEST" --disk-dir "$DIR/there"
TO=$DIR/there
move_wait
assert_rest_came
[[ -z $(ls -A "$DIR/elsewhere") && -z $(find "$TO" -name '*-partial') ]] || fail "still kept: $(ls -A "$DIR/elsewhere" "$TO")"
guest_verify "$(orders a)" blocks
assert_nothing_unfinished

# no disk, and an image above a base
guest_stop a
MEM=128 tiny_start a
refused 3 "the guest has no disk that would be copied (--only-disks)"
guest_stop a
"$QEMU_IMG" create -q -f qcow2 -b "$DIR/a.raw" -F raw "$DIR/top.qcow2"
MEM=128 tiny_start a $(guest_drive d0 "$DIR/top.qcow2" qcow2)
refused 3 "nothing of disk $DIR/top.qcow2 could be kept at the destination (--only-disks): it has backing files"
assert_eq "$(ls -A "$DIR/elsewhere")" "" "files at the destination"
refused 3 "disk $DIR/top.qcow2 cannot go ahead while the guest runs: it has backing files. Shut the guest down, and say the same again" --how cold
