#!/bin/bash
# Four guests are moved at the same time over one link of 1 Gb/s, by vmferry and by QEMU's own multifd migration, and all are unharmed.
# timeout: 1200
#
# Prints how long one of them takes alone, while the others run on, and how long all four: from when the tool is started (vmferry,
# where an agent stands already) or the destination's QEMU is (multifd) until the last guest runs there and the QEMU that
# it came from has ended. The medians of REPEAT (3) repetitions, in each of which one guest moves to and fro alone, then all; and
# the longest downtime of all these moves, as each tool says itself. QEMU's own does not know of the `cont`; the peers of a
# guest measure both with vmferry bench.
#   tests/long/four-moves-at-once.sh [OPTION...]      of vmferry migrate: --codec none, say
. "$(dirname "$0")/../lib/lab.sh"
enter_lab 1gbit "$0" "$@"
. "$(dirname "$0")/../lib/move.sh"
export VMFERRY_HOST=$DIR/host # all of them at once
printf 'in any\nout any\n' >"$VMFERRY_HOST"

REPEAT=${REPEAT:-3}
MOVE_S=${MOVE_S:-120}
GUESTS=(a b c d)
MAX_DOWNTIME_MS=100 # native.py's, too
SLOWEST=6           # four at once take no more than so many times what one does
declare -A OTHER=([src]=dst [dst]=src) MOVER=() CAME_FROM=()
declare -A SECONDS_OF=() DOWNTIMES=() # keys: "TOOL HOW-MANY"
OPTIONS=("$@")
HOST=src                              # host of the guests that are moved next

# --- one move, in the background -----------------------------------------------------------

said() { # NAME: prints where the words of its last move are
	echo "$DIR/said/$1"
}

begin_vmferry() { # NAME
	ferry_options "$HOST" "${OTHER[$HOST]}"
	timeout --foreground "$MOVE_S" ip netns exec "$HOST" "$BIN/vmferry" migrate "$(monitor "$1")" "${AGENT[${OTHER[$HOST]}]}" \
		--disk-dir "$TO" --max-downtime "$MAX_DOWNTIME_MS" --json -v "${FERRY_OPTIONS[@]}" "${OPTIONS[@]}" </dev/null \
		>"$(said "$1")/move.json" 2>"$(said "$1")/log" &
	MOVER[$1]=$!
}

begin_multifd() { # NAME
	local source said
	source=$(monitor "$1")
	said=$(said "$1")
	launch_target "$1"
	timeout --foreground "$MOVE_S" "$TOP/tests/lib/native.py" migrate "$source" "$TO/$1.qmp" "${ADDRESS[${OTHER[$HOST]}]}" \
		</dev/null >"$said/downtime" 2>"$said/log" &
	MOVER[$1]=$!
}

launch_target() { # NAME
	# shellcheck disable=SC2034
	local DIR=$TO ON=(ip netns exec "${OTHER[$HOST]}")
	guest_launch "$1" -incoming defer
	disown "${GUEST_PID[$1]}" # no shell message tells of its end
}

downtime_of_vmferry() { # NAME
	DIR=$(said "$1") result 'r["downtime_ms"]["total"]'
}

downtime_of_multifd() { # NAME
	cat "$(said "$1")/downtime"
}

adopt_vmferry() { # NAME
	guest_adopt "$1" "$(DIR=$(said "$1") result 'r["destination_pid"]')"
}

adopt_multifd() { # guest_launch did
	:
}

# --- some at once --------------------------------------------------------------------------

show_logs() {
	local log
	for log in "$DIR"/said/*/log "$DIR"/*/agent.log; do
		[[ ! -s $log ]] || { echo "--- ${log#"$DIR/"}" && tail -n 15 "$log"; }
	done >&2
}

carry() { # TOOL NAME...: to the other host
	local tool=$1 name key="$1 $(($# - 1))" began=$EPOCHREALTIME
	shift
	MOVES=$((MOVES + 1))
	TO=$DIR/m$MOVES
	mkdir "$TO"
	for name; do
		CAME_FROM[$name]=${GUEST_PID[$name]}
		"begin_$tool" "$name"
		kill_at_exit "${MOVER[$name]}"
	done
	for name; do wait "${MOVER[$name]}" || { show_logs && fail "$tool did not move guest $name"; }; done
	SECONDS_OF[$key]+=" $(since "$began")"
	HOST=${OTHER[$HOST]}
	for name; do
		"adopt_$tool" "$name"
		GUEST_AT[$name]=$TO
		DOWNTIMES[$key]+=" $("downtime_of_$tool" "$name")"
		wait_for 60 process_is_gone "${CAME_FROM[$name]}" || fail "$tool: the source QEMU of guest $name is still there"
		guest_verify "$(orders "$name")" >"$(said "$name")/verdict"
	done
	echo "$tool, $# at once: ${SECONDS_OF[$key]##* } s; verified: $*"
}

# --- all of it -----------------------------------------------------------------------------

# shellcheck disable=SC2034 # it is guest.sh's
ON=(ip netns exec src)
export MEM=512 WITNESS="ram_mb=256 rate=1000" # for native targets, too
for name in "${GUESTS[@]}"; do
	mkdir -p "$(said "$name")"
	guest_launch "$name"
	disown "${GUEST_PID[$name]}"
done
for name in "${GUESTS[@]}"; do guest_wait_ready "$name"; done
agent_start src
agent_start dst

tools=(vmferry multifd)
for ((i = 0; i < REPEAT; i++)); do
	for tool in "${tools[@]}"; do
		carry "$tool" a
		carry "$tool" a
		carry "$tool" "${GUESTS[@]}"
	done
	tools=("${tools[1]}" "${tools[0]}")
done

row() { # WHAT VMFERRY MULTIFD
	printf '%-30s %10s %10s %8s\n' "$1" "$2" "$3" "$(ratio "$2" "$3")"
}

figures() { # FUNCTION ARRAY HOW-MANY: prints a figure of each tool
	local -n of=$2
	# shellcheck disable=SC2086
	echo "$("$1" ${of[vmferry $3]})" "$("$1" ${of[multifd $3]})"
}

read -r one one_multifd <<<"$(figures median SECONDS_OF 1)"
read -r four four_multifd <<<"$(figures median SECONDS_OF 4)"
printf '\n%-30s %10s %10s %8s\n' '' vmferry multifd ratio
row 'one alone, s' "$one" "$one_multifd"
row 'four at once, s' "$four" "$four_multifd"
row 'four over one' "$(ratio "$four" "$one")" "$(ratio "$four_multifd" "$one_multifd")"
# shellcheck disable=SC2046
row 'longest downtime, one, ms' $(figures largest DOWNTIMES 1)
# shellcheck disable=SC2046
row 'longest downtime, four, ms' $(figures largest DOWNTIMES 4)

[[ $(calculate "$four <= $SLOWEST * $one") == 1.000 ]] || fail "four at once took $four s, one alone $one s"
for host in src dst; do
	[[ -z $(find "$DIR/$host/state" -name '*.journal') ]] || fail "unfinished journals: $(ls "$DIR/$host/state")"
done
