# shellcheck shell=bash
# For tests of peers that lie; to be sourced. A guest `a` whose disk has an old copy, a listener, and moves with lies in them: `lies WORD...`
# (tests/lib/lies.py). TABLE: where what came of each is written.
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"

lies() {
	head -c 8M /dev/urandom >"$DIR/a.raw"
	MEM=256 WITNESS="ram_mb=8 rate=300 disks=vda disk_mb=4 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
	head -c 4M "$DIR/a.raw" >"$DIR/old"
	truncate -s 8M "$DIR/old"
	to_listener --plaintext
	settings_of a >/dev/null
	local table=${TABLE:-$DIR/lies}
	DIR=$DIR BIN=$BIN ASK=$ASK DST_PID=$DST_PID DST_ADDRESS=$DST_ADDRESS TOKEN=$(<"$DIR/dst-state/token") GUEST=${GUEST_PID[a]} \
		python3 -S "$TOP/tests/lib/lies.py" run "$@" >"$table" 2>"$DIR/lies.log" ||
		fail "$(grep -a '^BAD' "$table" || cat "$table" "$DIR/lies.log")"
	grep -ac '^ok' "$table"
}

# All of one direction of one kind of channel; the table is left in build/test-logs.
lies_of() { # "CHANNEL DIRECTION"
	mkdir -p "$TOP/build/test-logs"
	TABLE=$TOP/build/test-logs/lies-${1/ /-} lies "^$1:" ${N:+sample:$N}
}
