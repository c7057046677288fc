#!/bin/bash
# A guest without a monitor goes cold with a head start: its disks have 4 GiB, of which it writes 100 MiB all the time. Prints for how long the guest was away,
# from the end of its QEMU to its start at the destination, N times (3). It measures, and fails if a move does.
# timeout: 1800
. "$(dirname "$0")/../lib/move.sh"
. "$(dirname "$0")/../lib/tiny.sh"

NAME=head-$$ # unique, as the socket in /run has this name
at_exit "rm -f /run/$NAME.qmp"
head -c 256M /dev/urandom >"$DIR/a.raw" # a larger disk would need much memory in the witness
head -c 3840M /dev/urandom >"$DIR/b.raw"
for ((i = 0; i < ${N:-3}; i++)); do
	NO_QMP=yes MEM=512 WITNESS="ram_mb=8 rate=0 disks=vda disk_mb=100 disk_rate=500" tiny_start "$NAME" $(guest_drive d0 "$DIR/a.raw" raw) \
		$(guest_drive d1 "$DIR/b.raw" raw)
	move_start "$NAME" local --how cold
	wait_event 'ev["event"] == "notice" and "disks are at the destination:" in ev["text"]' >/dev/null
	wait_for 120 has_disk_ops "$NAME" $(($(disk_ops "$NAME") + 2000)) || fail "the guest does not write"
	end_process "${GUEST_PID[$NAME]}"
	wait_for 300 process_is_gone "$MOVE_PID" || fail "the move does not end"
	assert_result 'r["verified"]' "its disk"
	result '"away %.0f ms; in the last step %.0f MiB on the wire; %d passes before, with %.0f MiB" % (r["away_ms"], r["bytes_wire"] / 2**20,
		r["ahead"]["passes"], r["ahead"]["bytes_wire"] / 2**20)'
	guest_adopt "$NAME" "$(result 'r["started_pid"]')"
	guest_stop "$NAME"
	rm -rf "$TO"
done
