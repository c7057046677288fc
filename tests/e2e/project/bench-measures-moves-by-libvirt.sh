#!/bin/bash
# `virsh migrate --copy-storage-all` and vmferry move one guest of libvirt's to and fro, beside those of other tools, are measured and
# verified, and nothing of libvirt is left. Without libvirt they are refused before a guest is started.
# timeout: 600
# takes: 120
. "$(dirname "$0")/../../lib/bench.sh"
PATH=$PATH:/usr/sbin

for tool in virsh vmferry+libvirt; do
	status=0
	"$BIN/vmferry" bench root@host-b --tools multifd,$tool >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" 2 "exit status with a host: $(<"$DIR/out")"
	grep -qF "the tool $tool is measured with --lab only" "$DIR/out" || fail "it does not say what it cannot: $(<"$DIR/out")"
done

if [[ ! -x $TOP/build/libvirt/usr/sbin/libvirtd ]] && { ! command -v libvirtd || ! command -v virsh; } >/dev/null; then
	status=0
	small_bench "${SMALL[@]}" --workloads idle --tools virsh,multifd -o "$RUN" >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" 1 "exit status without libvirt: $(<"$DIR/out")"
	grep -q "needs libvirtd" "$DIR/out" || fail "it does not say what is missing: $(<"$DIR/out")"
	[[ ! -e $RUN ]] || fail "it has begun: $(<"$DIR/out")"
	wait_for 60 nothing_left || fail "left: $(bench_processes; ls -A "$BENCH_DIR")"
	echo "skipped: no libvirt here"
	exit
fi

hosts() { # Hosts that libvirt has on this machine.
	find /etc/libvirt /var/lib/libvirt /run/libvirt 2>/dev/null | sort || true
}

before=$(hosts)
small_bench "${SMALL[@]}" --disks 2 --workloads writer --tools virsh,single,virsh+channels=3,vmferry+libvirt,vmferry+libvirt+channels=2 -o "$RUN" >"$DIR/table" 2>"$DIR/out" ||
	fail "it does not end well: $(<"$DIR/out")"
cat "$DIR/out" "$DIR/table"
wait_for 60 nothing_left || fail "left: $(bench_processes; ls -A "$BENCH_DIR")"
assert_eq "$(hosts)" "$before" "files of this machine's libvirt"
assert_run 'len(moves) == 10 and all(m["outcome"] == "ok" for m in moves)'
assert_run 'all(m["verified"]["pages_checked"] > 10000 and m["verified"]["blocks_checked"] > 1000 for m in moves)'
assert_run 'all(0 < m["downtime_ms"]["events"] and m["tcp"]["alive"] for m in moves)'
assert_run 'all(0 < m["downtime_ms"]["own" if "vmferry" in m["tool"] else "qmp"] for m in moves)'
assert_run 'all(m["bytes_wire"] > 30e6 and m["carried_bytes"] > 30e6 and m["copy_ms"] <= m["total_ms"] for m in moves)'
assert_run 'all({"migrate", "stop", "resume", "done"} <= {e["what"] for e in m["events"]} for m in moves)'
assert_run 'all({"disk ready", "completed"} <= {e["what"] for e in m["events"]} for m in moves if not "vmferry" in m["tool"])'
assert_run 'all(m["cpu_s"]["source QEMU"] > 0 and m["cpu_s"]["destination QEMU"] > 0 for m in moves)'
assert_run 'all(m["cpu_s"]["vmferry"] > 0 and m["cpu_s"]["vmferry-dst"] > 0 for m in moves if "vmferry" in m["tool"])'
assert_run 'r["environment"]["libvirt"][0].isdigit()'
assert_run 'all({"device_state", "take_over", "start"} <= {part["name"] for part in m["breakdown_ms"]} for m in moves if "vmferry" in m["tool"])'
