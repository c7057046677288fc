# shellcheck shell=bash
# For end-to-end tests with the benchmark's collector; to be sourced after guest.sh.
#
#   collector_start; WITNESS="$(collector_witness)" guest_start a $(collector_net)
#   collector_greet SOCKET                    the guest is told the token, without which nothing of it is heard
#   collector_clear; ...; collector_stop      what it heard in between is in DIR/heard.json
#
# The guest then has a user network of QEMU's, which needs no rights: the collector is 10.0.2.2 there. With COLLECTOR_IN, a
# process whose network namespace the collector is to listen in, at all addresses, the guest's network is the caller's business.

COLLECTOR_IN=''
COLLECTOR_PID=''
COLLECTOR_PORT=''
COLLECTOR_TOKEN=''

collector_start() { # [OPTION of collect-tool...]
	local -a run=("$BIN/collect-tool" -a 127.0.0.1)
	[[ -x $BIN/collect-tool ]] || skip "no $BIN/collect-tool: make tests"
	[[ -z $COLLECTOR_IN ]] || run=(nsenter -t "$COLLECTOR_IN" -n "$BIN/collect-tool")
	rm -f "$DIR/collector"
	(exec "${run[@]}" "$@") >"$DIR/collector" &
	COLLECTOR_PID=$!
	kill_at_exit "$COLLECTOR_PID"
	wait_for 60 grep -q '^listening' "$DIR/collector" || fail "the collector does not listen"
	read -r _ COLLECTOR_PORT COLLECTOR_TOKEN <"$DIR/collector"
}

collector_greet() { # SOCKET of its orders
	guest_order "$1" "token $COLLECTOR_TOKEN" || fail "the guest takes no token"
}

collector_net() { # prints QEMU options
	echo "-netdev user,id=n0 -device virtio-net-pci,netdev=n0"
}

collector_witness() { # prints options of the witness
	echo "net=10.0.2.15/24 hb_udp=10.0.2.2:$COLLECTOR_PORT tcp=10.0.2.2:$COLLECTOR_PORT"
}

collector_clear() {
	kill -USR1 "$COLLECTOR_PID"
	wait_for 60 grep -q '^cleared' "$DIR/collector" || fail "the collector does not begin anew"
}

collector_stop() {
	end_process "$COLLECTOR_PID"
	tail -n 1 "$DIR/collector" >"$DIR/heard.json"
	[[ $(<"$DIR/heard.json") == \{* ]] || fail "the collector has no verdict: $(<"$DIR/collector")"
}

# Checks that a Python expression over h and t, the records of the heartbeat and of the probe, is true.
assert_heard() { # EXPRESSION
	python3 -S - "$DIR/heard.json" "$1" <<-'END' || fail "not heard: $1: $(cut -c1-500 "$DIR/heard.json")"
		import json, sys
		verdict = json.load(open(sys.argv[1]))
		sys.exit(not eval(sys.argv[2], {"h": verdict["heartbeat"], "t": verdict["tcp"]}))
	END
}
