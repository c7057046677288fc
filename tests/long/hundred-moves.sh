#!/bin/bash
# One busy guest with two disks is moved to and fro N times (100), in turn in every mode, and is verified after each
# move. Nothing may accumulate: journals, files, processes, sockets.
# timeout: 3600
. "$(dirname "$0")/../lib/move.sh"

N=${N:-100}
HOW=("" "--multifd 0" "--codec zstd --channels 4" "--ram-mode opaque" "--codec none --channels 1" "--ram-mode opaque --multifd 0")

guest_disk "$DIR/a.raw" raw 64M
guest_disk "$DIR/b.qcow2" qcow2 64M
MEM=256 WITNESS="ram_mb=64 rate=2000 disks=vda,vdb disk_mb=16 disk_rate=50" guest_start a \
	$(guest_drive d0 "$DIR/a.raw" raw) $(guest_drive d1 "$DIR/b.qcow2" qcow2)
listen_dst
dests=(local "$DST_ADDRESS")
for ((i = 1; i <= N; i++)); do
	how=${HOW[i % ${#HOW[@]}]}
	# shellcheck disable=SC2086
	move a "${dests[i % 2]}" $how
	(guest_verify "$(orders a)" blocks) >"$DIR/verdict" 2>&1 || fail "move $i ($how): $(<"$DIR/verdict")"
	verdict=$(grep '^verify' "$DIR/verdict")
	echo "move $i to ${dests[i % 2]} ($how): $(result '"%.0f ms, stopped for %.0f" % (r["total_ms"], r["downtime_ms"]["total"])'), $verdict"
	rm -rf "$DIR/d$((MOVES - 1))"
done
guest_order "$(orders a)" quiesce
guest_verify "$(orders a)" blocks
guest_stop a
assert_sound "$TO/b.qcow2"
[[ -z $(processes_of_this_test | grep -vx "$DST_PID") ]] || fail "processes are left: $(processes_of_this_test)"
[[ -z $(ls -A "$VMFERRY_RUNTIME_DIR") && -z $(ls -A "$DIR/dst-run") ]] || fail "sockets are left"
[[ -z $(find "$VMFERRY_STATE_DIR" "$DIR/dst-state" -name '*.journal') ]] || fail "unfinished journals"
