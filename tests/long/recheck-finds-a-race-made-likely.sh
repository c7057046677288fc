#!/bin/bash
# QEMU's TCG may not note a write that comes while it looks which pages are dirty (recheck.h). A trace point lies just there: switched on, it
# makes that a hundred times as likely. N moves (40), each of a guest of its own; RECHECK="--recheck off" shows what is lost without.
# timeout: 900
. "$(dirname "$0")/../lib/move.sh"
. "$(dirname "$0")/../lib/tiny.sh"

has_written() { # PAGES
	[[ $(tiny_written a | cut -d' ' -f1) -ge $1 ]]
}

N=${N:-40}
missed=0
guest_disk "$DIR/seed.raw" raw 32M
for ((i = 1; i <= N; i++)); do
	cp "$DIR/seed.raw" "$DIR/a.raw"
	MEM=256 WITNESS="ram_mb=64 rate=6000 disks=vda disk_mb=8 disk_rate=50" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
	qmp "$DIR/a.qmp" '{"execute": "human-monitor-command", "arguments": {"command-line": "logfile /dev/null"}}' >/dev/null
	qmp "$DIR/a.qmp" '{"execute": "trace-event-set-state", "arguments": {"name": "memory_notdirty_set_dirty", "enable": true}}' >/dev/null
	wait_for 60 has_written 4000 || fail "the guest writes nothing"
	# shellcheck disable=SC2086
	move a local --codec zstd --channels 4 ${RECHECK:-}
	guest_verify "$(orders a)" blocks >"$DIR/verdict" 2>&1 || fail "move $i: $(<"$DIR/verdict")"
	missed=$((missed + $(result 'r["ram"]["missed_pages"]')))
	guest_stop a
	unset 'GUEST_AT[a]'
	rm -rf "$DIR/d$((MOVES - 1))"
done
echo "QEMU has left out $missed pages in $N moves"
((missed > 0)) || fail "QEMU has left out nothing in $N moves: is this no test any more?"
