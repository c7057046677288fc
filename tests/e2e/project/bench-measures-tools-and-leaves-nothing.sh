#!/bin/bash
# timeout: 300
# Every tool moves the guest to and fro, what it did is measured and verified, and nothing of the lab is left. TOOLS: which (one of QEMU's and
# ours; tests/long has them all).
. "$(dirname "${BASH_SOURCE[0]}")/../../lib/bench.sh"

TOOLS=${TOOLS:-multifd+channels=3+tls,vmferry+codec=zstd+channels=1+tls}
tools=$(tr , '\n' <<<"$TOOLS" | wc -l)
# The test has mounts of its own, as others make links and mounts on this machine.
if [[ -z ${HAS_OWN:-} ]]; then
	status=0
	KEEP=1 HAS_OWN=yes DIR=$DIR TOOLS=$TOOLS unshare --net --mount bash "$0" || status=$?
	exit "$status"
fi
ip link set lo up

before=$(ip -br link; cat /proc/mounts)
# The stand-in writes down each connection that it encrypts.
printf '#!/bin/sh\nexec "%s" -trace enable=qio_channel_tls_handshake_complete -D "%s/trace.%%d" "$@"\n' "$QEMU" "$DIR" >"$DIR/qemu"
chmod +x "$DIR/qemu"
QEMU=$DIR/qemu
small_bench "${SMALL[@]}" --disk 80M --disk-data 80M --cached 20 --workloads writer \
	--tools "$TOOLS" -o "$RUN" >"$DIR/table" || fail "it does not end well"
cat "$DIR/table"
assert_eq "$(ip -br link; cat /proc/mounts)" "$before" "links and mounts of this machine"
wait_for 60 nothing_left || fail "left: $(bench_processes; ls -A "$BENCH_DIR")"

assert_run "len(moves) == 2 * $tools"' and all(m["outcome"] == "ok" for m in moves)'
assert_run "sorted(m['round'] for m in moves) == $tools * [0] + $tools * [1]"' and all(m["warmup"] == (m["round"] == 0) for m in moves)'
assert_run 'all(m["verified"]["pages_checked"] > 10000 and m["verified"]["blocks_checked"] > 1000 for m in moves)'
assert_run 'all(m["verified"]["pages_wrong"] == m["verified"]["blocks_wrong"] == 0 for m in moves)'
assert_run 'all(0 < m["downtime_ms"]["events"] and 1 < m["downtime_ms"]["guest"] for m in moves)'
assert_run 'all(m["tcp"]["alive"] for m in moves)'
assert_run 'all(m["copy_ms"] <= m["total_ms"] for m in moves)'
assert_run 'all(1 < m["yardstick_ms"] for m in moves)'
assert_run 'all(m["bytes_wire"] > 30e6 for m in moves if m["tool"] in ("single", "multifd", "xbzrle", "multifd+channels=3+tls"))'
assert_run 'all(m["cpu_s"]["source QEMU"] > 0 for m in moves)'
assert_run 'all(len(m["series"]["beats"]) == len(m["series"]["wire_bps"]) == len(m["series"]["ram_left"]) for m in moves)'
assert_run 'all(sum(m["series"]["beats"]) > 300 and max(w or 0 for w in m["series"]["work"]) > 10 for m in moves)'
assert_run 'all({"migrate", "stop", "resume", "done"} <= {e["what"] for e in m["events"]} for m in moves)'
# vmferry holds the source's QEMU as soon as one of its monitors has said so: the other may not have said it, ever
assert_run 'all("completed" in {e["what"] for e in m["events"]} for m in moves if not m["tool"].startswith("vmferry"))'
# The rest of what the guest fills, 75 MiB, is heap.
assert_run 'r["plan"]["cached_percent"] == 20 and all(m["cached_percent"] == 20 for m in moves)'
assert_run 'all(m["verified"]["pages_checked"] == 60 * 256 for m in moves)'
# The gap in the heartbeat is where both QEMUs say that the guest stood still.
assert_run 'all(m["downtime_ms"]["guest"] > m["downtime_ms"]["events"] - 10 for m in moves)'
# In two moves, at each end: QEMU's main connection, three of multifd's, one of the disk's mirror; and of the other tools none. One QEMU may be
# at an end of both, and a source that vmferry has started may write none down.
grep -c handshake_complete "$DIR"/trace.* | sed 's/.*://' | sort >"$DIR/handshakes"
[[ $(awk '{ n += $1 } $1 % 5 { wrong = 1 } END { print (n >= 10 && !wrong) }' "$DIR/handshakes") -eq 1 ]] ||
	fail "connections that the QEMUs encrypted: $(tr '\n' ' ' <"$DIR/handshakes")"
[[ $(grep -c '^  vmferry' "$DIR/table") -eq $(grep -o 'vmferry' <<<"$TOOLS" | wc -l) ]] || fail "the table lacks a tool"

[[ $(sed -n '/^  of the time of/,/^the machine/p' "$DIR/table" | grep -oE '[a-z0-9=+-]+ [0-9]+\.[0-9][0-9]' | wc -l) -eq $((tools - 1)) ]] ||
	fail "tools are not compared round by round"
[[ $(wc -L <"$DIR/table") -le 130 ]] || fail "the table is too wide" # the longest tool's name has 10 more than its column

# Without GnuTLS QEMU's own has no TLS, and it says so before it starts a guest.
printf '#!/bin/sh\ncase " $* " in *tls-creds*) echo "TLS credentials support requires GNUTLS" >&2; exit 1 ;; esac\nexec "%s" "$@"\n' \
	"$QEMU" >"$DIR/qemu-without"
chmod +x "$DIR/qemu-without"
QEMU=$DIR/qemu-without
status=0
small_bench "${SMALL[@]}" --workloads idle --tools vmferry,xbzrle+tls -o "$DIR/none.json" >"$DIR/out" 2>&1 || status=$?
assert_eq "$status" 1 "exit status without GnuTLS"
grep -q "xbzrle+tls needs TLS.*requires GNUTLS" "$DIR/out" || fail "it does not say what is missing: $(<"$DIR/out")"
[[ ! -e $DIR/none.json ]] || fail "it has begun: $(<"$DIR/out")"
wait_for 60 nothing_left || fail "left: $(bench_processes; ls -A "$BENCH_DIR")"

# Nor what would take all of this host's memory or disk, nor results where the lab hides them.
refused() { # WORDS OPTION...
	status=0
	small_bench --workloads idle --tools vmferry "${@:2}" >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" 1 "exit status with ${*:2}"
	grep -qE -- "$1" "$DIR/out" || fail "it does not say why: $(<"$DIR/out")"
	[[ ! -e $DIR/none.json ]] || fail "it has begun: $(<"$DIR/out")"
}
refused "guests would take 2.0 TiB of memory.* available" --mem 1024G -o "$DIR/none.json"
refused "images may grow to 2.0 PiB.* free" --mem 256M --disk 1024T --disk-data 1024T -o "$DIR/none.json"
refused "output .*/run" "${SMALL[@]}" -o /run/none.json
refused "dir .*/run" "${SMALL[@]}" --dir /run -o "$DIR/none.json"
