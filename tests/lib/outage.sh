# shellcheck shell=bash
# For tests of connections that break during a move; to be sourced, behind over-ssh.sh where there are two hosts. Everything of aftermath.sh.
[[ $(type -t move_start) == function ]] || . "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"
RECONNECT_S=
command -v ss >/dev/null || skip "ss (iproute2) is not installed"

# Prints the source's ports of the connections between the agents of this move: control's first, it was made first.
ports_of_move() {
	"${ON[@]}" ss -tnpH state established | grep -v ':22 ' |
		sed -nE "s/.* [^ ]*:([0-9]+) +[^ ]*:[0-9]+ +users:.*pid=$MOVE_PID,fd=([0-9]+).*/\2 \1/p" | sort -n | cut -d' ' -f2
}

has_connections() { # AT-LEAST: PORTS are theirs at the source
	mapfile -t PORTS < <(ports_of_move)
	[[ ${#PORTS[@]} -ge $1 ]]
}

# Resets one end of each of these connections; the other end notices, if the network lets it.
reset_at() { # on_a|on_b|env PORT AT THE SOURCE...
	local host=$1 port
	for port in "${@:2}"; do
		"$host" ss -KtnH "sport = :$port or dport = :$port" >/dev/null 2>&1 || fail "ss -K: no connection can be reset here"
	done
}

outages() { # prints what the move says of them
	"$BIN/vmferry" status "${GUEST_PID[$MOVING]}" --json 2>/dev/null | python3 -S -c '
import json, sys
try: o = json.loads(sys.stdin.readline()).get("outages", {})
except ValueError: o = {}
print(0 if o.get("now") else o.get("count", 0))'
}

has_outages() { # AT-LEAST: and is connected
	[[ $(outages) -ge $1 ]]
}
