#!/bin/bash
# A source that says nothing after the plan was made, as its hooks take long, keeps no other guest from coming for ever. It goes on once it speaks again, unless as
# many as may come have come before it by then: it is refused, and its guest stays.
# tier: check-all
. "$(dirname "$0")/../../lib/aftermath.sh"

guest() { # NAME
	truncate -s 1M "$DIR/$1.raw"
	mkdir -p "$DIR/to-$1"
	MEM=32 WITNESS="ram_mb=4 rate=100" tiny_start "$1" $(guest_drive d0 "$DIR/$1.raw" raw) $(second_monitor "$1")
}

# A move beside others, whose hook waits until DIR/go-NAME is there: its pid is PIDS[NAME], what it says is in DIR/NAME.json.
go() { # NAME [OPTION...]
	"$BIN/vmferry" migrate "${GUEST_PID[$1]}" "$DEST" --disk-dir "$DIR/to-$1" --json "${@:2}" </dev/null >"$DIR/$1.json" 2>"$DIR/$1.log" &
	PIDS[$1]=$!
	kill_at_exit "$!"
}

says() { # NAME TEXT
	wait_for 60 grep -qF -- "$2" "$DIR/$1.json" || fail "$1 does not say '$2': $(cat "$DIR/$1.json" "$DIR/$1.log")"
}

ends() { # NAME STATUS
	local status=0
	wait_for 60 process_is_gone "${PIDS[$1]}" || fail "the move of $1 does not end: $(tail -n 2 "$DIR/$1.json")"
	wait "${PIDS[$1]}" || status=$?
	assert_eq "$status" "$2" "exit code of the move of $1 ($(tail -n 1 "$DIR/$1.json"))"
	[[ $status -ne 0 ]] || kill_at_exit "$(sed -n 's/.*"destination_pid": *\([0-9]*\).*/\1/p' "$DIR/$1.json" | tail -n 1)"
}

declare -A PIDS=()
export VMFERRY_HOST=$DIR/host VMFERRY_HOOKS=$DIR/hooks
printf 'in 1\nout any\n' >"$VMFERRY_HOST"
mkdir -p "$VMFERRY_HOOKS/before.d"
cat >"$VMFERRY_HOOKS/before.d/wait" <<END
#!/bin/bash
: >"$DIR/hook-\$VMFERRY_GUEST"
until [[ -e $DIR/go-\$VMFERRY_GUEST ]]; do read -rt 0.05 <> <(:); done
exit 0
END
chmod 755 "$VMFERRY_HOOKS/before.d/wait"
for name in a b c d; do guest "$name"; done
VMFERRY_FAULT=dst-turn-is-short:fail to_listener

go a
wait_for 60 test -e "$DIR/hook-a" || fail "its hook does not run: $(<"$DIR/a.json")"
touch "$DIR/go-b"
go b
says b 'waits for its turn: 1 move comes to the destination before it'
ends b 0
touch "$DIR/go-a"
ends a 0
guest_verify "$DIR/to-a/a.orders" >/dev/null

go c
wait_for 60 test -e "$DIR/hook-c" || fail "its hook does not run: $(<"$DIR/c.json")"
touch "$DIR/go-d"
go d --hold
says d 'vmferry switch'
touch "$DIR/go-c"
ends c 1
grep -q 'the source was silent for more than 5 minutes .* others have come before this move' "$DIR/c.json" || fail "it does not say why: $(tail -n 1 "$DIR/c.json")"
runs_here c || fail "c does not run here"
vmferry switch "${GUEST_PID[d]}" >/dev/null
ends d 0
rm -rf "$DIR/to-c"/*
go c
ends c 0
