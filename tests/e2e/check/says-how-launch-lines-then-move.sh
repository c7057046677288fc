#!/bin/bash
# A guest for which `check` finds no obstacle moves, and any other is refused by `migrate` with the same words, its QEMU still running and
# its files unchanged. Launch lines are made by a seed, or are of real life (tests/lib/launch-line.py): SEEDS="1 2 quickstart-hda" are those
# that are tried; a longer list is in tests/long.
. "$(dirname "$0")/../../lib/move.sh"

runs_on() { # SOCKET
	monitor_answers "$1" && [[ $(status_of "$1") == running ]]
}

said() { # FILE: what stands in the way, without the numbers that differ
	sed -n '/^refused: /,/^the guest is now/p' "$1"
}

files_of() { # DIR: all but what its QEMU writes by itself
	(cd "$1" && find . -type f ! -name '*pid*' ! -name '*log*' -size +0 -print0 | sort -z | xargs -0 sha256sum)
}

qemu_at() { # SOCKET
	pgrep -f "^[^ ]*qemu-system[^ ]* .*unix:$1,"
}

try() { # SEED
	local at=$DIR/$1 checked=0 moved=0 pid files line
	local -a words
	mkdir "$at" "$at-there"
	line=$(python3 -S "$TOP/tests/lib/launch-line.py" "$1" "$at" "$QEMU_IMG") || fail "there is no line $1"
	mapfile -t words <<<"$line"
	(cd "$at" && exec "$QEMU" "${words[@]}" </dev/null >"$DIR/$1.out" 2>&1) &
	kill_at_exit $!
	wait_for 60 runs_on "$at/q" || fail "$1: QEMU does not run: $(<"$DIR/$1.out"): ${words[*]}"
	pid=$(qemu_at "$at/q")
	kill_at_exit "$pid"
	[[ ! -e $at/meanwhile ]] || (cd "$at" && bash -e ./meanwhile)
	files=$(files_of "$at")
	vmferry check "$at/q" local --disk-dir "$at-there" >"$DIR/$1.check" 2>&1 </dev/null || checked=$?
	vmferry migrate "$at/q" local --disk-dir "$at-there" >"$DIR/$1.move" 2>&1 </dev/null || moved=$?
	echo "$1: check says $checked, migrate $moved $(said "$DIR/$1.move" | head -n 4 | cut -c -160)"
	[[ $checked == "$moved" ]] || fail "$1: check says $checked ($(tail -n 3 "$DIR/$1.check")), migrate $moved ($(tail -n 3 "$DIR/$1.move")): ${words[*]}"
	if [[ $moved == 0 ]]; then
		pid=$(qemu_at "$at-there/q")
		kill_at_exit "$pid"
		runs_on "$at-there/q" || fail "$1: the guest does not run where it was moved to: ${words[*]}"
		end_process "$pid" # the load lasts as long as this process
		return
	fi
	assert_eq "$moved" 3 "exit code of $1: ${words[*]} ($(tail -n 2 "$DIR/$1.move"))"
	assert_eq "$(said "$DIR/$1.move")" "$(said "$DIR/$1.check")" "what migrate says of $1"
	[[ $(said "$DIR/$1.check") == refused:* ]] || fail "$1: no reason: $(<"$DIR/$1.check")"
	runs_on "$at/q" && [[ -e /proc/$pid ]] || fail "$1: the guest that was refused does not run any more: ${words[*]}"
	assert_eq "$(files_of "$at")" "$files" "files of $1"
	assert_eq "$(ls -A "$at-there")" "" "files at the destination of $1"
	end_process "$pid"
}

for seed in ${SEEDS:-2 4 12 13 17 40 746 757 791 quickstart-hda}; do
	try "$seed"
done
