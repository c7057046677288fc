#!/bin/bash
# A move that is held for long makes round after round of its disks: its journal does not grow, and all that the rounds made is gone at the end.
. "$(dirname "$0")/../../lib/aftermath.sh"

records() { # Records of the source's journal.
	vmferry journal "$(find "$VMFERRY_STATE_DIR" -name '*-src.journal')" | wc -l
}

made_rounds() { # COUNT
	wait_event 'ev["event"] == "progress" and min(d["round"] for d in ev["disks"]) >= '"$1" 150 >/dev/null
}

head -c 4M /dev/urandom >"$DIR/b.raw"
head -c 4M /dev/urandom >"$DIR/a.raw"
MEM=256 WITNESS="ram_mb=16 rate=100 disks=vda,vdb disk_mb=2 disk_rate=50" \
	tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.raw" raw) $(second_monitor a)
SETTINGS=$(settings_of a)
move_start a local --hold
made_rounds 5
before=$(records)
made_rounds 45
after=$(records)
[[ $after -le $((before + 2)) ]] || fail "the journal has grown by $((after - before)) records in 40 rounds"
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait
assert_nothing_unfinished
settings_become_those_there
assert_eq "$(settings_of a | grep -v '^node')" "$(grep -v '^node' <<<"$SETTINGS")" "settings of QEMU"
guest_verify "$(orders a)" blocks
