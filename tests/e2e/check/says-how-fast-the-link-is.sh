#!/bin/bash
# Over a link of 100 Mb/s, and one of 1 Gb/s, whose shapers let bursts pass: `vmferry check` says what the link carries, and what a move without
# compression then gets, within 15 %, in a few seconds. FASTER=yes: over one of 10 Gb/s, too, where processors limit the move, and check says so; what these are
# worth changes within a minute where they are virtual: there it is 30 %, as for the time of any move.
# timeout: 300
# alone: it measures
. "$(dirname "$0")/../../lib/lab.sh"
enter_lab 100mbit "$0" "$@"
. "$(dirname "$0")/../../lib/move.sh"
mkdir "$DIR/there"

TOLERANCE=0.15 OF_PROCESSORS=0.3 BURST=4m

# Shapes the link as the lab does, with a bucket of a size that providers of virtual machines use.
shape() { # RATE
	local host
	for host in src dst; do
		ip netns exec "$host" tc qdisc replace dev mig0 root handle 1: tbf rate "$1" burst "$BURST" latency 20ms
	done
}

check() { # RATE: sets SAID, what a move gets, in bytes per second. A machine that is busy may keep a probe from getting it, too
	local n
	for n in 1 2 3; do
		check_once
		! says "$1" || return 0
	done
	fail "of the link of $1 bytes/s check says $(grep -ao '"link_bps":[^,]*' "$DIR/check.json")"
}

check_once() { # sets TOOK
	local began=$EPOCHREALTIME
	"${ON[@]}" timeout 30 "$BIN/vmferry" check "${GUEST_PID[a]}" "${AGENT[dst]}" --disk-dir "$DIR/there" --disk "d0=$DIR/there.raw" --json --codec none \
		"${FERRY_OPTIONS[@]}" </dev/null >"$DIR/check.json" 2>"$DIR/check.err" || fail "check: $(<"$DIR/check.err")"
	TOOK=$(since "$began")
}

says() { # RATE: sets WITHIN, too
	local said status=0
	said=$(python3 -S - "$DIR/check.json" "$1" $TOLERANCE $OF_PROCESSORS <<-'END'
		import json, sys
		(e,) = [ev for ev in map(json.loads, open(sys.argv[1])) if ev["event"] == "estimate"]
		limited = e["limited_by"] == "processors"
		print(e["bytes_wire"] / e["total_s"] if limited else e["link_bps"], sys.argv[3 + limited]) # storage is waited for at the end
		sys.exit(abs(e["link_bps"] / float(sys.argv[2]) - 1) > float(sys.argv[3]))
	END
	) || status=$?
	read -r SAID WITHIN <<<"$said"
	return $status
}

# The rate of the disk copy in the second half of the time, by the bytes that the move reports as left.
move_s_rate() {
	result '(lambda l: (l[len(l) // 4]["disk_left"] - l[-1]["disk_left"]) * 1000 / (l[-1]["t_ms"] - l[len(l) // 4]["t_ms"]))(
		[ev for ev in of("progress") if ev["stage"] == "copy" and "ram_left" not in ev and ev["disk_left"] > 0])'
}

# A machine that is busy may keep a move from getting what the link has: the best of a few, each right after it was told.
within() { # NAME RATE MS: of a move that is cancelled after so long
	local moved n
	for n in 1 2 3; do
		check "$2"
		move_start a "${AGENT[dst]}" --codec none --hold --json=fine "${FERRY_OPTIONS[@]}"
		wait_event "ev['event'] == 'progress' and ev['t_ms'] > $3" >/dev/null
		VMFERRY_RUNTIME_DIR=$DIR/src/run vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
		move_wait 1
		moved=$(move_s_rate)
		echo "$1: check says $SAID in $TOOK s, the move gets $moved bytes/s: $(ratio "$SAID" "$moved")"
		[[ $(calculate "abs($SAID / $moved - 1) <= $WITHIN") != 1.000 ]] || break
		[[ $n -lt 3 ]] || fail "$1: check says $SAID bytes/s, the move gets $moved"
	done
	[[ $(calculate "$TOOK < ${CHECK_S:-10}") == 1.000 ]] || fail "check takes $TOOK s"
}

head -c "$([[ -n ${FASTER:-} ]] && echo 2G || echo 256M)" /dev/urandom >"$DIR/a.raw"
ON=(ip netns exec src)
MEM=256 WITNESS="ram_mb=16 disks=vda disk_mb=8 disk_rate=1" guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
agent_start dst
ferry_options src dst

shape 100mbit
within "100 Mb/s" 12.5e6 4000

shape 1gbit
within "1 Gb/s" 125e6 1500

if [[ -n ${FASTER:-} ]]; then
	shape 10gbit
	within "10 Gb/s" 1250e6 1000
fi
guest_verify "$(orders a)" blocks
