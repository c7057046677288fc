# shellcheck shell=bash
# For tests of several guests and hosts; to be sourced. The test goes on in a namespace of processes, which is host a: the guests that it starts there are
# all that run there. The other hosts are vmferry-dsts in namespaces of their own: HOSTS, by their addresses.
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"

FLEET_HOSTS=${FLEET_HOSTS:-2}

if [[ -z ${IN_HOST_A:-} ]]; then
	unshare --mount --pid --fork true 2>/dev/null || skip "namespaces cannot be made here"
	declare -a HOSTS=() HELD=()
	for ((i = 1; i <= FLEET_HOSTS; i++)); do # two in one namespace would be one host
		unshare --mount --pid --fork --kill-child --mount-proc bash -c 'echo >"$1"; sleep infinity; true' bash "$DIR/held$i" &
		HOLDER=$!
		kill_at_exit "$HOLDER"
		wait_for 60 test -e "$DIR/held$i" || fail "host $i cannot be made"
		HELD[i]=$(pgrep -P "$HOLDER")
		DST_ON=(nsenter -t "${HELD[i]}" -m -p) DST_NUMBER=$i
		listen_dst
		HOSTS+=("$DST_ADDRESS")
	done
	KEEP=1 IN_HOST_A=yes DIR=$DIR HOSTS_TEXT=${HOSTS[*]} unshare --mount --pid --fork --kill-child --mount-proc bash "$0" &
	INNER=$!
	kill_at_exit "$INNER"
	has_ended_or_asks() { process_is_gone "$INNER" || compgen -G "$DIR/kill-host-[0-9]" >/dev/null; }
	until process_is_gone "$INNER"; do
		wait_for 600 has_ended_or_asks || continue # a campaign takes longer
		for at in "$DIR"/kill-host-[0-9]; do # ends the host's agents, as a power cut does; standing agents start again if asked for
			[[ -e $at ]] || continue
			i=${at##*-}
			pkill -KILL -f "^$BIN/vmferry-dst .*--state-dir $DIR/dst$i-state" || true
			DST_ON=(nsenter -t "${HELD[i]}" -m -p) DST_NUMBER=$i
			[[ ! -s $at ]] || DST_PORT=${HOSTS[i - 1]##*:} listen_dst
			rm "$at"
		done
	done
	status=0
	wait "$INNER" || status=$?
	exit "$status"
fi
read -ra HOSTS <<<"$HOSTS_TEXT"

kill_host() { # NUMBER, from 1 [restart]: all agents there
	echo -n "${2:-}" >"$DIR/kill-host-$1.new"
	mv "$DIR/kill-host-$1.new" "$DIR/kill-host-$1"
	wait_for 60 eval "! [[ -e \$DIR/kill-host-$1 ]]" || fail "host $1 is not killed"
}

fleet_guest() { # NAME
	truncate -s 1M "$DIR/$1.raw"
	MEM=${MEM:-32} WITNESS="ram_mb=4 rate=100 disks=vda disk_mb=1 disk_rate=5" MACHINE=pc tiny_start "$1" $(guest_drive d0 "$DIR/$1.raw" raw) $(second_monitor "$1")
}

THERE=$DIR/there # destination folder, with a folder for each guest

# The guest runs at a destination, intact, and not here.
is_there() { # NAME
	[[ $(status_of "$THERE/$1/$1.qmp") == running ]] || fail "$1 does not run there: $(cat "$DIR/fleet.log")"
	guest_verify "$THERE/$1/$1.orders" blocks >/dev/null
	process_is_gone "${GUEST_PID[$1]}" || fail "$1 runs here, too"
}

is_here() { # NAME
	[[ $(status_of "$DIR/$1.qmp") == running ]] || fail "$1 does not run here: $(cat "$DIR/fleet.log")"
	guest_verify "$DIR/$1.orders" blocks >/dev/null
	[[ ! -S $THERE/$1/$1.qmp ]] || fail "$1 runs there, too"
}

fleet() { # STATUS COMMAND...: what it says is in DIR/fleet.out and DIR/fleet.log
	local status=0
	timeout 300 "$BIN/vmferry" "${@:2}" </dev/null >"$DIR/fleet.out" 2>"$DIR/fleet.log" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry ${*:2} ($(cat "$DIR/fleet.log" "$DIR/fleet.out"))"
}

says() { # FILE PATTERN
	grep -q -- "$2" "$DIR/$1" || fail "it does not say '$2': $(cat "$DIR/fleet.log" "$DIR/fleet.out")"
}
