#!/bin/bash
# The result of --json: each documented field is there, of its type and with a plausible value.
. "$(dirname "$0")/../lib/move.sh"

guest_disk "$DIR/a.raw" raw 32M
MEM=256 WITNESS="ram_mb=32 rate=1000 disks=vda disk_mb=8 disk_rate=100" guest_start a $(guest_drive d0 "$DIR/a.raw" raw)
move a local
assert_result 'events[-1] is r' "the result is the last line"
assert_result 'r["outcome"] == "migrated" and r["guest"] == "destination" and r["verified"] is True'
assert_result '0 < r["downtime_ms"]["total"] < r["total_ms"] < 60000'
assert_result 'set(r["downtime_ms"]) == {"total", "disk", "ram", "device_state", "start", "predicted"}'
assert_result 'all(type(v) is float and 0 <= v < 10000 for v in r["downtime_ms"].values())'
assert_result '{"rounds", "pages", "zero_pages", "bytes_wire", "mode"} <= set(r["ram"])'
assert_result 'r["ram"]["mode"] == "pages" and r["ram"]["rounds"] >= 2'
assert_result 'r["ram"]["pages"] + r["ram"]["zero_pages"] >= 256 * 256' "every page was sent"
assert_result 'len(r["disks"]) == 1 and {"node", "rounds", "bytes_read", "bytes_wire", "format"} <= set(r["disks"][0])'
assert_result 'r["disks"][0]["format"] == "raw" and r["disks"][0]["rounds"] >= 2 and r["disks"][0]["bytes_read"] > 0'
assert_result 'r["bytes_wire"] >= r["ram"]["bytes_wire"] + r["disks"][0]["bytes_wire"] > 0'
guest_verify "$(orders a)" blocks
