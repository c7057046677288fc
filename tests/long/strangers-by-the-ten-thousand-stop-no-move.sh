#!/bin/bash
# Ten thousand connections at once, from one address and in clear or from many and with TLS, that say nothing, a byte a second, or half of a
# handshake, and others in place of those that are closed, at the port of a listener and at that of a move under way: that one ends as if they
# were not there, another begins and ends, and the agents have few of them open, in little memory.
# timeout: 400
. "$(dirname "$0")/../lib/aftermath.sh"

[[ $EUID -eq 0 ]] || skip "only root can look at what an agent has open"
COUNT=10000
FILES_MAX=160 # of an agent: 64 that stand at its door, and its own
MEMORY_MAX_KIB=65536
DELAY_MAX_S=30
HARD=$(ulimit -Hn)
[[ $HARD == unlimited || $HARD -ge $((COUNT + 64)) ]] || ulimit -Hn $((COUNT + 64)) 2>/dev/null || skip "no process may have $COUNT connections here"

assert_bounded() { # WHEN: that no agent of the destination has more descriptors, or has had more memory
	local pid files memory most_files=0 most_memory=0
	for pid in "$DST_PID" $(agent_dst); do
		files=$(ls "/proc/$pid/fd" 2>/dev/null | wc -l) || true
		memory=$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$pid/status" 2>/dev/null) || true
		((files <= most_files)) || most_files=$files
		((${memory:-0} <= most_memory)) || most_memory=$memory
	done
	echo "$1: at most $most_files descriptors and $most_memory KiB"
	((most_files > 0 && most_files <= FILES_MAX)) || fail "an agent has $most_files descriptors"
	((most_memory <= MEMORY_MAX_KIB)) || fail "an agent has had $most_memory KiB of memory"
}

crowd() { # ADDRESS COUNT
	local said=$DIR/crowd-$1
	nice python3 -S "$TOP/tests/lib/crowd.py" "$1" "$2" mixed "$FROM" >"$said" 2>"$said.log" &
	CROWDS+=($!)
	kill_at_exit $!
	wait_for 120 grep -qs here "$said" || fail "the crowd does not come: $(tail -n 3 "$said.log")"
}

they_are_there() {
	local pid
	for pid in "${CROWDS[@]}"; do ! process_is_gone "$pid" || fail "the crowd went: $(cat "$DIR"/crowd-*.log)"; done
}

they_go() {
	they_are_there
	for pid in "${CROWDS[@]}"; do end_process "$pid"; done
	CROWDS=()
}

data_address() { # where the agent of the move under way listens
	ss -Hltnp | sed -n "s/.* \(127\.0\.0\.1:[0-9]*\) .*pid=$(agent_dst),.*/\1/p" | head -n 1
}

in_time() { # WHAT SINCE
	echo "$1 in $((SECONDS - $2)) s"
	((SECONDS - $2 <= DELAY_MAX_S)) || fail "$1 after $((SECONDS - $2)) s"
}

moves_among() { # one|many OPTION...: strangers from there
	local begun
	FROM=$1
	move_start a "$DEST" --hold "${SLOW_RAM[@]}" "${@:2}"
	while_ram
	crowd "$DEST" "$COUNT"
	crowd "$(data_address)" "$((COUNT / 10))"
	assert_bounded "a move under way, strangers from $FROM"
	vmferry set "${GUEST_PID[a]}" bwlimit=0 >/dev/null
	vmferry switch --no-wait "${GUEST_PID[a]}"
	begun=$SECONDS
	move_wait
	in_time "it ended" "$begun"
	guest_verify "$(orders a)" blocks

	begun=$SECONDS
	move a "$DEST" "${@:2}"
	in_time "another began and ended" "$begun"
	guest_verify "$(orders a)" blocks
	assert_bounded "a move that began, strangers from $FROM"
	they_go
}

CROWDS=()
guest_a
to_listener
moves_among one
(umask 077 && echo "host-a:$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')" >"$DIR/psk")
to_listener --psk-file "$DIR/psk"
moves_among many --psk-file "$DIR/psk"
