#!/bin/bash
# vmferry check: the plan and what it would cost, exit code 0, and nothing touched on either side; what stands in the way, with
# exit code 3. The script that --script prints moves the guest as it says.
# takes: 45
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
[[ -z ${QUIET:-} ]] || skip "the guest has to write, and QEMU 7.2 without KVM loses that"

check() { # STATUS [OPTION...]: in DIR/check.out and DIR/check.err
	local status=0
	vmferry check "${GUEST_PID[a]}" "${AT:-local}" --disk-dir "$TO" "${@:2}" </dev/null >"$DIR/check.out" 2>"$DIR/check.err" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry check ($(tail -n 1 "$DIR/check.err"))"
}

says() { # FILE PATTERN
	grep -qE -- "$2" "$DIR/$1" || fail "$1 does not say '$2': $(<"$DIR/$1")"
}

echo before >"$DIR/told"
KERNEL=vmlinuz GUEST_START=guest_start guest_a -fw_cfg "name=opt/told,file=$DIR/told" # a kernel and an initrd
TO="$DIR/to here"
mkdir "$TO"
check 0
says check.out "disk .*/a.raw \(raw, 16.0 MiB.* -> $TO/a.raw"
says check.out "link .*/s, round trip"
says check.out "live +[0-9.]+ m?s +[0-9.]+ [KM]iB +[0-9]+ ms +it runs on meanwhile; the best here"
says check.out "-v shows [0-9]+ more lines"
says check.out "can be moved to local: nothing stands in the way"
! grep 'was changed\|features of the guest' "$DIR/check.err" "$DIR/check.out" || fail "nothing was changed, and nobody asked for details"
assert_at_source
echo "disk a.raw=$TO/other.raw" >"$DIR/defaults"
VMFERRY_CONFIG=$DIR/defaults check 0
says check.out "disk .*/a.raw .* -> $TO/other.raw"
VMFERRY_CONFIG=$DIR/defaults check 0 --disk "$DIR/a.raw=$TO/said.raw" # the command line has the last word
says check.out "disk .*/a.raw .* -> $TO/said.raw"
check 0 --bwlimit 200K # the guest writes ten times as much
says check.out "live .*writes faster than can be carried .see --on-stall.$"
says check.out "quick .*it is stopped, sent once, .*--how quick\); the best here"

check 0 -v
says check.out "kernel, .* is there already"
says check.out "all features of the guest"
says check.out "in use .* of its memory so far, [0-9]+ % of that zeros"
says check.out "about .* on the wire .*in .* s, as fast as the .* of downtime"
says check.err "reading and hashing: .*, placing there 0*[.0-9]*[1-9][0-9]*; "
check 0 --json
python3 -S - "$DIR/check.out" <<-'END'
	import json, sys
	events = {ev["event"]: ev for ev in map(json.loads, open(sys.argv[1]))}
	plan, estimate = events["plan"], events["estimate"]
	assert plan["disks"][0]["to"].endswith("/to here/a.raw") and plan["command_line"] and plan["destination_qemu_version"]
	assert {f["role"]: f["transfer"] for f in plan["files"]} == dict.fromkeys(("kernel", "initrd", "fw_cfg"), "present"), plan["files"]
	assert estimate["link_bps"] > 1e6 and 0 < estimate["round_trip_ms"] < 1000 and estimate["disk_bytes"] > 8 << 20
	assert estimate["ram_bytes"] > 32 << 20 and estimate["dirty_bps"] > 0 and estimate["converges"] is True
	assert estimate["bytes"] >= estimate["ram_bytes"] + estimate["disk_bytes"] > estimate["bytes_carried"] >= estimate["bytes_wire"] > 0
	assert 0 < estimate["zero"] < 1 and 0 <= estimate["seeded"] <= 1 and 0 <= estimate["seeded_error"] <= 1 and estimate["total_s"] > 0
	assert estimate["bytes_wire_least"] <= estimate["bytes_wire"] <= estimate["bytes_wire_most"]
	kinds = {k["how"]: k for k in estimate["kinds"]}
	assert list(kinds) == ["live", "quick", "warm", "cold"] and all(k["why"] and k["total_s"] > 0 for k in kinds.values()), kinds
	assert kinds["live"]["proposed"] and abs(kinds["live"]["away_ms"] - estimate["downtime_ms"]) < 0.001, kinds
	assert abs(kinds["quick"]["away_ms"] - 1000 * kinds["quick"]["total_s"]) < 1 and kinds["cold"]["bytes_wire"] < kinds["quick"]["bytes_wire"]
	assert kinds["warm"]["bytes_wire"] == kinds["cold"]["bytes_wire"], kinds
	assert estimate["limited_by"] in ("link", "processors", "storage") and estimate["store_bps"] > 0 and "memory_not_sampled" not in estimate
END

# Storage that takes a second more for each sync; nothing of what was written to it for that is left.
: >"$DIR/errors-on"
DST_ON=(env LD_PRELOAD="$BIN/shared/error.so" ERRORS="slow 1 1000 /to" ERRORS_SEEN="$DIR/errors-seen" ERRORS_WHILE="$DIR/errors-on")
BIN=$BIN/shared listen_dst
DST_ON=()
AT=$DST_ADDRESS check 0 -v
says check.out "about .* on the wire .*in .* s, as fast as the storage there takes it, [0-9.]+ [KM]iB/s"
says errors-seen "^slow $TO/#"
assert_eq "$(ls -A "$TO")" "" "files at the destination"

VMFERRY_FAULT=src-no-process-vm:fail check 0
says check.out "in use .* of its memory, taken to be like its disks \\(QEMU's memory cannot be read from outside: .*\\)"
VMFERRY_FAULT=src-no-process-vm:fail check 0 --json
python3 -S - "$DIR/check.out" <<-'END'
	import json, sys
	(estimate,) = [ev for ev in map(json.loads, open(sys.argv[1])) if ev["event"] == "estimate"]
	assert "cannot be read" in estimate["memory_not_sampled"] and estimate["zero"] == 0 and estimate["seeded"] == 0, estimate
	assert estimate["ram_bytes"] > 32 << 20 and estimate["bytes_carried"] >= estimate["ram_bytes"], estimate
END

is_older_than_clocks_tell() {
	[[ $(ps -o etimes= -p "${GUEST_PID[a]}") -gt 4 ]]
}
wait_for 60 is_older_than_clocks_tell
echo after >"$DIR/told"
check 0
says check.err "told \\(the guest's fw_cfg\\) was changed since its QEMU read it"

check 3 --disk "nosuch=/x/y"
says check.err "no disk of this guest is called nosuch .*; its disks: .*a.raw"
touch "$TO/a.raw"
check 3
says check.err "a.raw exists already at the destination"
rm "$TO/a.raw"
check 3 --disk-dir "$DIR"
says check.err "a.raw at the destination is the guest's own disk, on storage that both hosts see"
check 3 --disk "d0=$DIR/nowhere/a.raw"
says check.err "directory $DIR/nowhere does not exist"
assert_at_source

mkdir "$DIR/elsewhere"
check 0 -v
! grep 'vmferry-dst.* has not ended' "$DIR/check.err" || fail "the agents wait for each other to end"
check 0 --script --disk "d0-dev=$DIR/elsewhere/it's new.raw" --media copy
! grep -v 'was changed since' "$DIR/check.err" | grep -q . || fail "more than the script: $(<"$DIR/check.err")"
assert_at_source
PATH=$BIN:$PATH sh "$DIR/check.out" >"$DIR/move.json" 2>"$DIR/move.log" </dev/null || fail "the script: $(<"$DIR/move.log")"
GUEST_AT[a]=$TO
guest_adopt a "$(qemu_dst)"
[[ -s "$DIR/elsewhere/it's new.raw" && -s $TO/vmlinuz ]] || fail "not where the script said: $(ls "$TO" "$DIR/elsewhere")"
guest_verify "$(orders a)" blocks
