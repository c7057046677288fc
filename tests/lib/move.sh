# shellcheck shell=bash
# For end-to-end tests of moves; to be sourced. Everything of guest.sh, and moves of its guests
# on this machine. The state and runtime directories of vmferry lie under DIR.
#
#   move NAME local                 one move to its end; what it said is in DIR/move.json
#   move_start NAME DEST [OPTION...]; ...; move_wait [STATUS]      the same with something in between
#   guest_verify "$(orders NAME)"   the guest, wherever it is now
#   result 'r["outcome"]'           a Python expression over r, the result event, and events, all of them
#   wait_event 'ev["event"] == "notice"'
#
# After a move to exit code 0, NAME is the guest at the destination: GUEST_PID, orders, monitor.
# A guest that is to be looked at over QMP during a move needs a second monitor, as vmferry holds
# the first: guest_start NAME $(second_monitor NAME).
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

declare -A MOVED_FROM=() # NAME: pid of the QEMU that it was moved from last
MOVES=0                 # how many were started
TO=                     # the directory that the last one goes to
MOVING=                 # NAME
IN_PLACE=               # the guest stays where it is
MOVE_PID=
DST_PID= DST_ADDRESS=   # of the vmferry-dst that listen_dst started last
declare -a DST_ON=()    # command that starts vmferry-dst, as ON does the source's; it listens at DST_AT (127.0.0.1)

export VMFERRY_STATE_DIR=$DIR/state VMFERRY_RUNTIME_DIR=$DIR/run VMFERRY_CONFIG=
mkdir -p -m 700 "$VMFERRY_STATE_DIR" "$VMFERRY_RUNTIME_DIR"

# --- where a guest is ----------------------------------------------------------------------

monitor() { # NAME: prints the path of its QMP socket
	echo "${GUEST_AT[$1]:-$DIR}/$1.qmp"
}

second_monitor() { # NAME: prints QEMU options
	echo "-qmp unix:$DIR/$1.mon,server=on,wait=off"
}

monitor_answers() { # SOCKET: that it is there is not enough, it may be left by the QEMU before, or not listened to yet
	status_of "$1" >/dev/null 2>&1
}

status_of() { # SOCKET: QEMU's run state
	"$ASK" state "$1"
}

# --- moving --------------------------------------------------------------------------------

vmferry() {
	"$BIN/vmferry" "$@"
}

# The directory of the destination is $TO (DIR/d1 for the first move, and so on) unless the options say --disk-dir, or --in-place.
move_start() { # NAME DEST [OPTION...]
	local name=$1 dest=$2
	local -a where=()
	shift 2
	MOVES=$((MOVES + 1))
	TO=$DIR/d$MOVES
	MOVING=$name IN_PLACE=
	mkdir -p "$TO"
	rm -f "$DIR/move.json" "$DIR/move.log"
	[[ -z ${QEMU_THERE:-} || " $* " == *' --qemu '* ]] || set -- --qemu "$QEMU_THERE" "$@"
	if [[ " $* " == *' --in-place '* ]]; then IN_PLACE=yes; else where=(--disk-dir "$TO"); fi
	"${ON[@]}" "$BIN/vmferry" migrate "${GUEST_PID[$name]}" "$dest" "${where[@]}" --json -v \
		${RECONNECT_S:+--reconnect-timeout "$RECONNECT_S"} "$@" </dev/null \
		>"$DIR/move.json" 2>"$DIR/move.log" &
	MOVE_PID=$!
	kill_at_exit "$MOVE_PID"
}

# Waits for the end of the move, or of bringing disks alone, of which the guest stays. A destination QEMU that it leaves is ended with the test in any case.
move_wait() { # [STATUS (0)]
	local status=0 pid
	wait_for "${MOVE_S:-180}" process_is_gone "$MOVE_PID" || fail "the move does not end"
	wait "$MOVE_PID" || status=$?
	[[ $status -eq ${1:-0} ]] ||
		assert_eq "$status" "${1:-0}" "exit code of vmferry migrate ($(result 'r.get("reason", r["outcome"])' 2>/dev/null || tail -n 1 "$DIR/move.log"))"
	pid=$(result '"stays" if r["outcome"] == "disks-copied" else r.get("destination_pid", 0)') || return 0 # no result: refused as usage
	[[ $pid != stays ]] || return 0
	if [[ $status -ne 0 ]]; then
		[[ $pid -eq 0 ]] || ! is_of_this_test "$pid" || kill_at_exit "$pid"
		return 0
	fi
	MOVED_FROM[$MOVING]=${GUEST_PID[$MOVING]}
	[[ -n $IN_PLACE ]] || GUEST_AT[$MOVING]=$TO
	guest_adopt "$MOVING" "$pid"
	process_is_gone "${MOVED_FROM[$MOVING]}" || fail "the source QEMU is still there"
}

move() { # NAME DEST [OPTION...]
	move_start "$@"
	move_wait
}

# The move must be refused, for a reason that matches PATTERN (grep's).
move_refused() { # PATTERN DEST [OPTION...]
	move_start a "${@:2}"
	move_wait 3
	result 'r["reason"]' | grep -q -- "$1" || fail "the reason is not '$1': $(result 'r["reason"]')"
}

# A destination agent for many moves: $DST_ADDRESS. Its journals are its own.
listen_dst() { # [OPTION...]
	local at=$DIR/dst${DST_NUMBER:-} # another number: another host, with the same token
	mkdir -p -m 700 "$at-state" "$at-run"
	if [[ ! -e $at-state/token ]]; then # the right to move guests there
		[[ -n ${DST_NUMBER:-} && -e $VMFERRY_STATE_DIR/token ]] ||
			(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$VMFERRY_STATE_DIR/token")
		cp -p "$VMFERRY_STATE_DIR/token" "$at-state/token"
	fi
	rm -f "$DIR/dst.out" # an earlier one's, which says where that listened
	"${DST_ON[@]}" "$BIN/vmferry-dst" --listen "${DST_AT:-127.0.0.1}:${DST_PORT:-0}" --state-dir "$at-state" --runtime-dir "$at-run" -v "$@" \
		</dev/null >"$DIR/dst.out" 2>"$DIR/dst.log" &
	DST_PID=$!
	kill_at_exit "$DST_PID"
	wait_for 60 grep -q '^listening on' "$DIR/dst.out" || fail "vmferry-dst does not listen: $(<"$DIR/dst.log")"
	DST_ADDRESS=$(sed -n 's/^listening on //p' "$DIR/dst.out")
}

# --- what it said --------------------------------------------------------------------------

# Prints the value of a Python expression over r (the result), plan and events.
result() { # EXPRESSION
	python3 -S - "$DIR/move.json" "$1" <<-'END'
		import json, sys
		events = [json.loads(line) for line in open(sys.argv[1]) if line.endswith("\n")]
		of = lambda kind: [ev for ev in events if ev.get("event") == kind]
		r, plan, notices = (of("result") or [None])[-1], (of("plan") or [None])[0], [ev["text"] for ev in of("notice")]
		if r is None and "r" in compile(sys.argv[2], "", "eval").co_names:
		    sys.exit("the move has given no result")
		value = eval(sys.argv[2])
		print(value if isinstance(value, str) else json.dumps(value))
	END
}

assert_result() { # EXPRESSION [WHAT]: that it is true
	local value
	value=$(result "$1") || fail "${2:-$1}: no such value in $(tail -n 1 "$DIR/move.json")"
	[[ $value == true ]] || fail "${2:-$1}: $value; the result is $(tail -n 1 "$DIR/move.json")"
}

# Prints the first event of the move for which the Python expression over ev is true, as soon as there is one.
wait_event() { # EXPRESSION [DEADLINE_S]
	python3 -S - "$DIR/move.json" "$1" "${2:-60}" "$MOVE_PID" <<-'END' || fail "no such event: $1"
		import json, os, re, sys, time
		path, wanted, deadline, pid = sys.argv[1], sys.argv[2], time.monotonic() + float(sys.argv[3]), int(sys.argv[4])
		text, done = "", 0
		def alive():
		    try:
		        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z"
		    except OSError:
		        return False
		while not os.path.exists(path) and alive() and time.monotonic() < deadline: # the process has only just been started
		    time.sleep(0.01)
		with open(path) as stream:
		    last_look = False
		    while True:
		        text += stream.read()
		        *lines, text = text.split("\n")
		        for line in lines:
		            ev = json.loads(line)
		            try:
		                found = eval(wanted)
		            except KeyError:
		                found = False
		            if found:
		                print(line)
		                sys.exit(0)
		        if last_look or time.monotonic() > deadline:
		            sys.exit(1)
		        last_look = not alive()
		        time.sleep(0.01)
	END
}

# True when the move's own status has it: is_moving_with NAME 's["held"]'
is_moving_with() { # NAME EXPRESSION over s, the status
	vmferry status "${GUEST_PID[$1]}" --json 2>/dev/null |
		python3 -S -c 'import json, sys; s = json.load(sys.stdin); sys.exit(not eval(sys.argv[1]))' "$2" 2>/dev/null
}

# --- disks ---------------------------------------------------------------------------------

assert_same_content() { # FILE FORMAT FILE FORMAT
	local said
	said=$("$QEMU_IMG" compare -U -f "$2" -F "$4" "$1" "$3") || fail "$1 and $3: $said"
	[[ $said == 'Images are identical.' ]] || fail "$1 and $3: $said"
}

# Somebody has it open: a process of its own, $HOLDER, as all that the test starts would have what its shell has open.
hold_open() { # FILE
	local file
	exec {file}<"$1"
	sleep infinity <&"$file" &
	HOLDER=$!
	exec {file}<&-
	kill_at_exit "$HOLDER"
}

assert_sound() { # QCOW2-FILE of a guest that has ended
	"$QEMU_IMG" check -q -f qcow2 "$1" || fail "$1 is damaged: $("$QEMU_IMG" check -f qcow2 "$1" 2>&1 | head -n 5)"
}

written() { # FILE: bytes, without holes and blocks that were only set aside
	python3 -S -c 'import os, sys
fd, end, total = os.open(sys.argv[1], os.O_RDONLY), 0, 0
try:
    while True:
        begin = os.lseek(fd, end, os.SEEK_DATA)
        end = os.lseek(fd, begin, os.SEEK_HOLE)
        total += end - begin
except OSError: # no data is behind that
    print(total)' "$1"
}

allocated() { # FILE: bytes
	echo $(($(stat -c '%b * %B' "$1")))
}

# --- what is left --------------------------------------------------------------------------

is_of_this_test() { # PID
	grep -qsaF "$DIR/" "/proc/$1/cmdline"
}

processes_of_this_test() { # prints the pids of QEMUs and agents that were started with paths under DIR
	local at
	{ find /proc/[0-9]*/exe -maxdepth 0 \( -lname '*/qemu-system-*' -o -lname '*/vmferry*' \) 2>/dev/null || true; } | while read -r at; do
		at=${at#/proc/} at=${at%/exe}
		is_of_this_test "$at" && echo "$at"
	done || true
	return 0
}

# After a move that was rolled back: no file, process or socket of it at the destination, none of vmferry here.
assert_nothing_left() { # [PID...]: of this test's processes that may live on besides the guests
	local pid
	[[ -z $(ls -A "$TO") ]] || fail "left behind at the destination: $(ls -A "$TO")"
	[[ -z $(ls -A "$VMFERRY_RUNTIME_DIR") ]] || fail "left behind in the runtime directory: $(ls -A "$VMFERRY_RUNTIME_DIR")"
	for pid in $(processes_of_this_test); do
		[[ " ${GUEST_PID[*]} $* " == *" $pid "* ]] || ! is_of_this_test "$pid" || fail "left behind: process $pid: $(tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c1-200)"
	done
}

end_what_is_left() {
	local pid
	[[ ${status:-0} -eq 0 || ${status:-0} -eq 77 || ! -s $DIR/move.log ]] || {
		echo "--- move.log, move.json" >&2
		tail -n 30 "$DIR/move.log" >&2
		tail -n 3 "$DIR/move.json" >&2
	}
	for pid in $(processes_of_this_test); do kill_at_exit "$pid"; done
	end_processes
	for pid in $(processes_of_this_test); do kill_at_exit "$pid"; done # processes that an agent began meanwhile
}
at_exit end_what_is_left
