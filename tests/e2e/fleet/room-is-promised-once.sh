#!/bin/bash
# Memory and room of a destination are promised to the guests on their way there: of two that each have room and both do not, the second is refused before
# anything is touched, and says to whom; once the first is gone the kernel's figures count alone. check says the same. Of two directories the one with most
# room that is promised to nobody is chosen.
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
begin_in_own_mounts

guest() { # NAME MEMORY_MB: with a disk that has no holes
	head -c 36M /dev/urandom >"$DIR/$1.raw"
	MEM=$2 WITNESS="ram_mb=4 rate=100" tiny_start "$1" $(guest_drive d0 "$DIR/$1.raw" raw) $(second_monitor "$1")
}

first_is_on_its_way() { # NAME DIRECTORY
	move_start "$1" "$DEST" --disk-dir "$2" --bwlimit 1M --json=fine
	wait_event 'ev["event"] == "progress"' >/dev/null
	rm "$DIR/move.json"
}

second_is_refused() { # COMMAND NAME DIRECTORY PATTERN
	local status=0
	vmferry "$1" "${GUEST_PID[$2]}" "$DEST" --disk-dir "$3" </dev/null >"$DIR/said" 2>&1 || status=$?
	assert_eq "$status" 3 "exit code of $1 ($(<"$DIR/said"))"
	grep -q "$4" "$DIR/said" || fail "$1 does not say why: $(<"$DIR/said")"
}

first_is_cancelled() { # NAME
	vmferry cancel "${GUEST_PID[$1]}" >/dev/null || fail "it cannot be cancelled"
	wait "$MOVE_PID" || true
}

mkdir -p "$DIR/there" "$DIR/second" "$DIR/elsewhere"
mount -n -t tmpfs -o size=64M there "$DIR/there"
mount -n -t tmpfs -o size=40M second "$DIR/second"
at_exit 'umount -nl "$DIR/there" "$DIR/second"'
export VMFERRY_HOST=$DIR/host
printf 'disk-dir %s\n' "$DIR/there" "$DIR/second" >"$VMFERRY_HOST"
most_mb=$(($(sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo) / 1024 * 6 / 10))
guest a 32
guest b 32
guest c "$most_mb"
guest d "$most_mb"
to_listener

first_is_on_its_way a "$DIR/there"
second_is_refused migrate b "$DIR/there" 'that are free in .* are promised to guests on their way there (a)'
second_is_refused check b "$DIR/there" 'are promised to guests on their way there (a)'
vmferry check "${GUEST_PID[b]}" "$DEST" --disk-dir auto --json >"$DIR/said" || fail "check: $(<"$DIR/said")"
grep -q "\"to\":\"$DIR/second/b.raw\"" "$DIR/said" || fail "promised room is chosen: $(<"$DIR/said")"
first_is_cancelled a
move b "$DEST" --disk-dir "$DIR/there"
guest_verify "$DIR/there/b.orders" >/dev/null

first_is_on_its_way c "$DIR/elsewhere"
second_is_refused migrate d "$DIR/elsewhere" 'of memory, and of the .* that are available at the destination .* are promised to guests on their way there (c)'
second_is_refused check d "$DIR/elsewhere" 'promised to guests on their way there (c)'
first_is_cancelled c
[[ -z $(ls "$DIR/elsewhere") ]] || fail "left: $(ls "$DIR/elsewhere")"
