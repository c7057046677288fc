#!/bin/bash
# The lab's link with --delay and --loss: netem outside, the rate and its short queue within, the same at both ends. Where the kernel has no
# netem the bench says so before it starts anything; where it has, a round trip takes twice the delay.
. "$(dirname "$0")/../../lib/bench.sh"

# Commands that the lab gives to the kernel, whichever this one is.
mkdir "$DIR/bin"
printf '#!/bin/sh\necho "$*" >>"%s/told"\n' "$DIR" >"$DIR/bin/ip"
chmod +x "$DIR/bin/ip"

told() { # OPTION...: one line each, of one end as of the other
	rm -f "$DIR/told"
	PATH=$DIR/bin:$PATH "$TOP/scripts/lab" shape "$@" || fail "it cannot be shaped: $*"
	grep -E 'netns exec src|-n src' "$DIR/told" | sed 's/\bsrc\b//' >"$DIR/src"
	grep -E 'netns exec dst|-n dst' "$DIR/told" | sed 's/\bdst\b//' >"$DIR/dst"
	cmp -s "$DIR/src" "$DIR/dst" || fail "the ends differ with $*: $(<"$DIR/told")"
	grep -oE 'qdisc add .*|gso_max_segs .*' "$DIR/src"
}

both=$(told 1gbit --delay 10 --loss 0.5)
assert_eq "$both" "qdisc add dev mig0 root handle 1: netem limit 100000 delay 10ms loss 0.5%
gso_max_segs 1
qdisc add dev mig0 parent 1:1 handle 2: tbf rate 1gbit burst 131072 latency 20ms" "a link of 1gbit with both"
assert_eq "$(told unshaped --delay 0.5)" "qdisc add dev mig0 root handle 1: netem limit 100000 delay 0.5ms
gso_max_segs 65535" "an unshaped link with a delay"
assert_eq "$(told 1gbit)" "gso_max_segs 65535
qdisc add dev mig0 root handle 2: tbf rate 1gbit burst 131072 latency 20ms" "a link with neither"

# Shaping that the kernel does.
if unshare --net -- sh -c 'PATH=$PATH:/sbin; ip link set lo up && tc qdisc add dev lo root netem delay 1ms' 2>/dev/null; then
	python3 -S - "$("$TOP/scripts/lab" run --delay 30 --link 1gbit -- ip netns exec src ping -c 3 -q 10.77.0.2)" <<-'END' || fail "not twice the delay"
		import re, sys
		print(sys.argv[1])
		least = float(re.search(r"= ([0-9.]+)/", sys.argv[1]).group(1))
		sys.exit(not 60 <= least < 90)
	END
else
	for option in --delay --loss; do
		status=0
		small_bench "${SMALL[@]}" "$option" 5 -o "$RUN" >"$DIR/out" 2>&1 || status=$?
		assert_eq "$status" 1 "exit status of $option without netem"
		grep -q "has no netem" "$DIR/out" || fail "it does not say what is missing: $(<"$DIR/out")"
		[[ ! -e $RUN ]] || fail "it has begun: $(<"$DIR/out")"
	done
	wait_for 60 nothing_left || fail "left: $(bench_processes; ls -A "$BENCH_DIR")"
fi

# Shaping options need the lab, and numbers.
refused() { # OPTION...
	local status=0
	"$BIN/vmferry" bench "$@" >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" 2 "exit status of bench $*: $(<"$DIR/out")"
}
refused root@host-b --delay 5
refused root@host-b --loss 5
refused --lab --delay 1s
refused --lab --loss 100
