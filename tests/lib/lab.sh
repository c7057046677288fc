# shellcheck shell=bash disable=SC2034
# For measurements between the two hosts of scripts/lab; to be sourced before all else, as it runs the script anew in there:
#
#   . "$(dirname "$0")/../lib/lab.sh"
#   enter_lab 1gbit "$0" "$@"          returns inside only: networks, processes and mounts of its own, which end with the script
#   . "$(dirname "$0")/../lib/move.sh"
#
#   ip netns exec src|dst COMMAND      on one of the hosts, at ${ADDRESS[src|dst]}. In the background its pid is the command's own
#   agent_start src|dst                a vmferry-dst that stands there, at ${AGENT[src|dst]}
#   ferry_options src|dst src|dst      sets FERRY_OPTIONS, for a vmferry migrate from the one to the other
#
# Sockets lie under TMPDIR, as their paths are limited to 107 bytes, which a deep checkout may exceed.
set -euo pipefail

. "$(dirname "${BASH_SOURCE[0]}")/base.sh"

declare -A ADDRESS=([src]=10.77.0.1 [dst]=10.77.0.2) AGENT=()
declare -a FERRY_OPTIONS=()

enter_lab() { # LINK SCRIPT [ARGUMENT...]
	if [[ -n ${VMFERRY_IN_LAB:-} ]]; then
		DIR=$(mktemp -d "${TMPDIR:-/tmp}/vmferry-test.XXXXXX")
		return
	fi
	[[ $EUID -eq 0 ]] || skip "not root: no lab"
	[[ -w /dev/net/tun ]] || skip "no /dev/net/tun: no lab"
	unshare --net --mount --pid --fork true 2>/dev/null || skip "namespaces cannot be made here"
	VMFERRY_IN_LAB=1 exec "$TOP/scripts/lab" run --link "$1" -- bash "${@:2}"
}

# --- vmferry there -------------------------------------------------------------------------

# The directories of an agent of that host, as source or as destination, are under DIR/HOST.
host_dirs() { # src|dst
	mkdir -p "$DIR/$1"/{state,run}
	chmod 700 "$DIR/$1"/{state,run}
}

agent_start() { # src|dst
	host_dirs "$1"
	ip netns exec "$1" "$BIN/vmferry-dst" --listen "${ADDRESS[$1]}:0" --plaintext -v --state-dir "$DIR/$1/state" \
		--runtime-dir "$DIR/$1/run" </dev/null >"$DIR/$1/agent.out" 2>"$DIR/$1/agent.log" &
	kill_at_exit $!
	wait_for 60 grep -q '^listening on' "$DIR/$1/agent.out" || fail "vmferry-dst does not listen: $(<"$DIR/$1/agent.log")"
	AGENT[$1]=$(sed -n 's/^listening on \([^ ]*\).*/\1/p' "$DIR/$1/agent.out")
}

ferry_options() { # FROM TO
	host_dirs "$1"
	FERRY_OPTIONS=(--plaintext --token-file "$DIR/$2/state/token" --state-dir "$DIR/$1/state" --runtime-dir "$DIR/$1/run")
}

# --- figures -------------------------------------------------------------------------------

calculate() { # EXPRESSION of Python: prints it with three digits
	python3 -S -c 'import sys; from statistics import median; print("%.3f" % eval(sys.argv[1]))' "$1"
}

median() { # NUMBER...
	calculate "median([$(IFS=,; echo "$*")])"
}

largest() { # NUMBER...
	calculate "max([$(IFS=,; echo "$*")])"
}

ratio() { # NUMBER NUMBER
	calculate "$1 / $2"
}

since() { # EPOCHREALTIME: prints the seconds
	local now=$EPOCHREALTIME
	calculate "$now - $1"
}
