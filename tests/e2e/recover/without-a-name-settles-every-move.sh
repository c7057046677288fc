#!/bin/bash
# Without a name recover settles all moves that were cut off, each with its own destination; its exit code is that of the worst.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

cut_off() { # NAME: while its memory is copied
	fault src-ready
	move_start "$1" local
	fault_wait
	guard_ends # the guard has the journal until then
}

recover_all() { # STATUS
	local status=0
	timeout 60 "$BIN/vmferry" recover -v </dev/null >"$DIR/recover.out" 2>"$DIR/recover.log" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry recover ($(tail -n 2 "$DIR/recover.log"))"
}

guest_a
head -c 16M /dev/urandom >"$DIR/b.raw"
MEM=256 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20" tiny_start b $(guest_drive d0 "$DIR/b.raw" raw) $(second_monitor b)
recover_all 0
said recover.log "nothing to recover"

cut_off a
cut_off b
assert_eq "$(find "$VMFERRY_STATE_DIR" -name '*-src.journal' | wc -l)" 2 "moves that were cut off"
recover_all 1
assert_nothing_unfinished
for name in a b; do
	assert_eq "$(status_of "$(free_monitor "$name")")" running "QEMU's run state"
	guest_verify "$(orders "$name")" blocks
done

# an unreadable journal comes first
cut_off a
echo "this is no journal" >"$VMFERRY_STATE_DIR/00000000000000000000000000000000-src.journal"
vmferry journal --json >"$DIR/journals"
python3 - "$DIR/journals" <<-'END' || fail "journal --json says: $(<"$DIR/journals")"
	import json, sys
	moves = [json.loads(line) for line in open(sys.argv[1])]
	a, = [m for m in moves if "to" in m]
	assert all(m["guest"] == "a" and m["from"] for m in moves if "attempt" in m and m is not a), moves
	unread, = [m for m in moves if "attempt" not in m]
	assert a["guest"] == "a" and a["to"] == "local" and a["attempt"] in a["path"] and a["pid"] > 0, a
	assert set(unread) == {"path"} and "000000-src.journal" in unread["path"], unread
END
recover_all 6
said recover.log "is not a journal|damaged"
rm "$VMFERRY_STATE_DIR/00000000000000000000000000000000-src.journal"
assert_nothing_unfinished

# the worst is not the last: the guest of the first is gone
cut_off a
cut_off b
first=$(find "$VMFERRY_STATE_DIR" -name '*-src.journal' | sort | head -n 1)
gone=a stays=b
grep -q '"guest": *"a"' <<<"$(vmferry journal "$first")" || { gone=b stays=a; }
guest_stop "$gone"
recover_all 8
assert_nothing_unfinished
assert_eq "$(status_of "$(free_monitor "$stays")")" running "QEMU's run state"
guest_verify "$(orders "$stays")" blocks
