#!/bin/bash
# What `check` says of a launch line, `migrate` then does: the guest moves, or it is refused with the same words, by the same QEMU still running and
# with its files as they were. Lines are made by a seed (tests/lib/launch-line.py): SEEDS="1 2 3" are those that are tried; a longer list is in tests/long.
. "$(dirname "$0")/../lib/move.sh"

running() { # SOCKET
	monitor_answers "$1" && [[ $(status_of "$1") == running ]]
}

said() { # FILE: what stands in the way, without the numbers that differ
	sed -n '/^refused: /,/^the guest is now/p' "$1"
}

try() { # SEED
	local at=$DIR/$1 checked=0 moved=0 pid files
	local -a words
	mkdir "$at" "$at-there"
	mapfile -t words < <(python3 -S "$TOP/tests/lib/launch-line.py" "$1" "$at" "$QEMU_IMG")
	(cd "$at" && exec "$QEMU" "${words[@]}" </dev/null >"$DIR/$1.out" 2>&1) &
	kill_at_exit $!
	wait_for 60 running "$at/q" || fail "seed $1: QEMU does not run: $(<"$DIR/$1.out"): ${words[*]}"
	pid=$(pgrep -f "^[^ ]*qemu-system[^ ]* .*unix:$at/q,")
	kill_at_exit "$pid"
	files=$(cd "$at" && sha256sum ./*.img)
	vmferry check "$at/q" local --disk-dir "$at-there" >"$DIR/$1.check" 2>&1 </dev/null || checked=$?
	vmferry migrate "$at/q" local --disk-dir "$at-there" >"$DIR/$1.move" 2>&1 </dev/null || moved=$?
	[[ $checked == "$moved" ]] || fail "seed $1: check says $checked ($(tail -n 3 "$DIR/$1.check")), migrate $moved ($(tail -n 3 "$DIR/$1.move")): ${words[*]}"
	if [[ $moved == 0 ]]; then
		pid=$(pgrep -f "^[^ ]*qemu-system[^ ]* .*unix:$at-there/q,")
		kill_at_exit "$pid"
		running "$at-there/q" || fail "seed $1: the guest does not run where it was moved to: ${words[*]}"
		return
	fi
	assert_eq "$moved" 3 "exit code of seed $1: ${words[*]} ($(tail -n 2 "$DIR/$1.move"))"
	assert_eq "$(said "$DIR/$1.move")" "$(said "$DIR/$1.check")" "what migrate says of seed $1"
	[[ $(said "$DIR/$1.check") == refused:* ]] || fail "seed $1: no reason: $(<"$DIR/$1.check")"
	running "$at/q" && [[ -e /proc/$pid ]] || fail "seed $1: the guest that was refused does not run any more: ${words[*]}"
	assert_eq "$(cd "$at" && sha256sum ./*.img)" "$files" "files of seed $1"
	assert_eq "$(ls -A "$at-there")" "" "files at the destination of seed $1"
}

for seed in ${SEEDS:-1 2 3 4}; do
	try "$seed"
done
