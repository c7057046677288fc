#!/bin/bash
# An import is counted among the guests that come to this host, moved or imported, by whoever: it waits for its turn, can be watched and cancelled meanwhile, and
# looks anew at the names that it takes; --now, and what comes as a stream, waits for nobody. What it is about to write is promised to nobody else, and what others
# were promised it does not take. A host without a place for tickets lets it go on.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/import.sh"
[[ $EUID -ne 0 ]] || begin_in_own_mounts

export VMFERRY_HOST=$DIR/host
declare -A PIDS=()
at_exit 'umount -nl "$VM" 2>/dev/null'

comes() { # NAME [OPTION...]: an import beside others, of an image of 24 MiB without holes; what it says is in DIR/NAME.json
	rm -f "$DIR/$1.json"
	"$BIN/vmferry" import "$DIR/disk.raw" --name "$ID-$1" --disk-dir "$VM" --accel tcg --format raw --json "${@:2}" </dev/null >"$DIR/$1.json" 2>"$DIR/$1.log" &
	PIDS[$1]=$!
	kill_at_exit "$!"
}

stands() { # NAME NUMBER: the same, whose agent stops as it begins that file: 1 is its disk, 2 its script
	VMFERRY_FAULT=made-$2:stop comes "$1"
	wait_for 60 process_is_stopped "${PIDS[$1]}" || fail "$1 does not come to its file $2: $(cat "$DIR/$1.json" "$DIR/$1.log")"
}

process_is_stopped() { # PID
	[[ $(process_state "$1") == T ]]
}

process_state() { # PID
	sed -nE 's/^State:\t(.).*/\1/p' "/proc/$1/status" 2>/dev/null
}

move_comes() { # [NOTE]: what it is about to take
	mkdir "$VMFERRY_RUNTIME_DIR/in"
	echo "${1:-}" >"$VMFERRY_RUNTIME_DIR/in/t00000001"
	flock "$VMFERRY_RUNTIME_DIR/in/t00000001" sleep 300 &
	MOVE=$!
	kill_at_exit "$MOVE"
	wait_for 60 eval '! flock -n "$VMFERRY_RUNTIME_DIR/in/t00000001" true' || fail "no ticket is held"
}

move_ends() {
	pkill -KILL -P "$MOVE"
	wait "$MOVE" || true
}

has_said() { # NAME TEXT
	grep -qF -- "$2" "$DIR/$1.json" 2>/dev/null
}

says_so() { # NAME TEXT
	wait_for 60 has_said "$1" "$2" || fail "$1 does not say '$2': $(cat "$DIR/$1.json" "$DIR/$1.log")"
}

ends() { # NAME STATUS
	local status=0
	wait_for 60 process_is_gone "${PIDS[$1]}" || fail "the import of $1 does not end: $(tail -n 2 "$DIR/$1.json")"
	wait "${PIDS[$1]}" || status=$?
	assert_eq "$status" "$2" "exit code of the import of $1 ($(tail -n 1 "$DIR/$1.json"))"
}

bootable_disk "$DIR/disk.raw"
head -c 24M /dev/urandom >"$DIR/noise"
dd if="$DIR/noise" of="$DIR/disk.raw" bs=1M seek=4 conv=notrunc status=none

# One import comes at a time; a move that arrives has a ticket as an import has.
printf 'in 1\n' >"$DIR/host"
move_comes
comes b
says_so b 'waits for its turn: 1 guest comes to this host before it'
vmferry status "$ID-b" >"$DIR/said" || fail "status: $(<"$DIR/said")"
grep -q 'waits for its turn: 1 before it to come to this host' "$DIR/said" || fail "status: $(<"$DIR/said")"
vmferry jobs >"$DIR/said"
grep -q "$ID-b .*waits for its turn, 1 before it" "$DIR/said" || fail "jobs: $(<"$DIR/said")"
comes c
says_so c 'waits for its turn: 2 guests come to this host before it'
vmferry cancel "$ID-b" >/dev/null || [[ $? -eq 3 ]] || fail "it cannot be cancelled"
ends b 3
says_so c 'waits for its turn: 1 guest comes'
comes d --now
ends d 0
! has_said d 'waits for' || fail "--now has waited: $(<"$DIR/d.json")"
comes e --dry-run
ends e 0
! has_said e 'waits for' || fail "--dry-run has waited: $(<"$DIR/e.json")"
touch "$VM/$ID-c.raw"
move_ends
ends c 3
[[ ! -e $VMFERRY_RUNTIME_DIR/in ]] || fail "left: $(ls -A "$VMFERRY_RUNTIME_DIR/in")"
has_said c "$ID-c.raw is there already" || fail "it has not looked anew: $(<"$DIR/c.json")"
rm "$VM"/*

printf 'in any\n' >"$DIR/host"

# Memory, of one that is to be started.
total=$(($(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo) * 1024))
move_comes "{\"guest\": \"x\", \"memory\": $total}"
comes b --dry-run --start --memory 256M
ends b 3
has_said b 'of memory, and of the' && has_said b 'available here' && has_said b 'promised to guests on their way here (x)' || fail "promised memory is taken: $(<"$DIR/b.json")"
comes b --dry-run --memory 256M
ends b 0
move_ends
printf 'in any\nkeep-memory 100T\n' >"$DIR/host"
comes b --dry-run --start --memory 256M
ends b 3
has_said b '100 TiB stay free (keep-memory in /etc/vmferry/host)' || fail "it does not say what stays free: $(<"$DIR/b.json")"
printf 'in any\n' >"$DIR/host"
rm -rf "$VMFERRY_RUNTIME_DIR/in"

touch "$VMFERRY_RUNTIME_DIR/in"
comes a
ends a 0
has_said a 'this import does not wait for others, nor others for it: ' || fail "it does not say so: $(<"$DIR/a.json")"
rm "$VMFERRY_RUNTIME_DIR/in"
printf 'in two\n' >"$DIR/host"
comes b
ends b 3
has_said b "/host, line 1: 'two' is not a number" || fail "it does not say so: $(<"$DIR/b.json")"

# Room: that of a disk that is not written yet is promised, whoever asks; of one that is written the kernel knows.
if [[ $EUID -ne 0 ]]; then
	echo "skipped: only root can mount a directory of 60 MiB"
	exit 0
fi
printf 'in any\n' >"$DIR/host"
mount -n -t tmpfs -o size=60M vm "$VM"
head -c 15M /dev/zero >"$VM/other"
stands a 1
"$BIN/vmferry-dst" list "$VMFERRY_RUNTIME_DIR" >"$DIR/said" || fail "$(<"$DIR/said")"
grep -q "\"$ID-a\"" "$DIR/said" || fail "the host does not say who comes: $(<"$DIR/said")"
for trial in '' --dry-run; do
	comes b $trial
	ends b 3
	has_said b "that are free in $VM here" && has_said b "are promised to guests on their way here ($ID-a)" || fail "promised room is taken: $(<"$DIR/b.json")"
done
kill -CONT "${PIDS[a]}"
ends a 0
rm "$VM"/*
stands a 2
comes b --dry-run
ends b 0
kill -CONT "${PIDS[a]}"
ends a 0
rm "$VM"/*

stands a 1
kill -KILL "${PIDS[a]}"
wait "${PIDS[a]}" || true
vmferry recover "$ID-a" >"$DIR/said" 2>&1 || fail "$(<"$DIR/said")"
[[ -z $(ls -A "$VM") && ! -e $VMFERRY_RUNTIME_DIR/in ]] || fail "left: $(ls -A "$VM" "$VMFERRY_RUNTIME_DIR/in")"
