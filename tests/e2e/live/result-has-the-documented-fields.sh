#!/bin/bash
# The result of --json has the members that docs/report.md names and no others, with plausible values.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=32 rate=1000 disks=vda disk_mb=8 disk_rate=100" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
# CPU time that vmferry has used, and the other agent, which it has waited for; it does not wait for QEMU
mkdir "$DIR/bin"
cat >"$DIR/bin/vmferry" <<-END
	#!/bin/bash
	"$BIN/vmferry" "\$@"
	status=\$?
	times >"$DIR/times"
	exit \$status
END
chmod +x "$DIR/bin/vmferry"
BIN=$DIR/bin
move a local
python3 -S - "$DIR/move.json" "$TOP/docs/report.md" <<-'END' || fail "the result and docs/report.md differ"
	import json, re, sys
	result = json.loads(open(sys.argv[1]).readlines()[-1])
	told = set(result) - {"event"}
	section = open(sys.argv[2]).read().split("## `result`")[1].split("\n## ")[0].split("\n\n`ram`")[0]
	documented = {name for row in re.findall(r"^\| (`.*?) \|", section, re.M) for name in re.findall(r"`(\w+)`", row)}
	only_when_so = {name for row, kind in re.findall(r"^\| (`.*?) \| ([^|]*) \|", section, re.M) if "optional" in kind for name in re.findall(r"`(\w+)`", row)}
	only_when_so |= {"obstacles", "leftovers", "opaque_because", "shutdown_ms", "unit", "after_error", "reason", "forced"} # rows that the document describes in other words
	assert not {"outcome", "guest", "exit_code", "total_ms", "verified", "downtime_ms", "disks"} & only_when_so
	print("not documented:", told - documented, "missing:", documented - told - only_when_so)
	sys.exit(not (told <= documented and documented - told <= only_when_so))
END
assert_result 'events[-1] is r' "the result is the last line"
assert_result 'r["outcome"] == "migrated" and r["guest"] == "destination" and r["verified"] is True and r["exit_code"] == 0'
assert_result 'all(0 < ev["t_ms"] <= r["total_ms"] for ev in events if ev["event"] == "progress")'
assert_result '0 < r["downtime_ms"]["total"] < r["total_ms"]'
assert_result 'set(r["downtime_ms"]) == {"total", "disk", "ram", "recheck", "device_state", "journal", "start", "predicted", "allowed"}'
assert_result 'all(type(v) is (int if k == "allowed" else float) and 0 <= v < 10000 for k, v in r["downtime_ms"].items())'
assert_result 'set(r["ram"]) == {"mode", "rounds", "pages", "zero_pages", "same_pages", "seed_pages", "rechecked_pages", "missed_pages", "bytes_wire"}'
assert_result 'r["ram"]["mode"] == "pages" and r["ram"]["rounds"] >= 2'
assert_result 'r["ram"]["pages"] + r["ram"]["zero_pages"] + r["ram"]["seed_pages"] >= 256 * 256' "every page was sent"
assert_result 'set(r["disks"][0]) == {"node", "from", "to", "format", "rounds", "bytes_read", "bytes_wire", "bytes_kept"}'
assert_result 'r["disks"][0]["format"] == "raw" and r["disks"][0]["rounds"] >= 2 and r["disks"][0]["bytes_read"] > 0'
assert_result 'r["bytes_wire"] >= r["ram"]["bytes_wire"] + r["disks"][0]["bytes_wire"] > 0'
assert_result 'set(r["cpu_s"]["source"]) == {"parse", "hash", "compress", "encrypt", "send", "disk", "other"}'
assert_result 'set(r["cpu_s"]["destination"]) == {"receive", "decrypt", "decompress", "hash", "place", "disk", "other"}'
assert_result 'all(type(s) is float and s >= 0 for agent in r["cpu_s"].values() for s in agent.values())'
assert_result 'all(r["cpu_s"]["source"][stage] > 0 for stage in ("parse", "hash", "send", "disk"))'
assert_result 'all(r["cpu_s"]["destination"][stage] > 0 for stage in ("receive", "hash", "place", "disk"))'
# "1m2.345s 0m0.678s": user and system
used=$(sed -n '2s/\([0-9]*\)m\([0-9.]*\)s \([0-9]*\)m\([0-9.]*\)s/60 * (\1 + \3) + \2 + \4/p' "$DIR/times")
assert_result "0.5 * ($used) < sum(s for agent in r['cpu_s'].values() for s in agent.values()) < 1.05 * ($used) + 0.02" \
	"the stages' sum and what the processes used ($used)"
assert_result 'r["disabled"] == [] and set(r["deletable"][0]) == {"path", "bytes"} and "after_error" not in r'
guest_verify "$(orders a)" blocks
