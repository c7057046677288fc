#!/bin/bash
# All frames of a whole move, searched for what is on the guest's disk, in its memory and on QEMU's command line: none of it
# is there. A move in clear to the same host has all of it, so the search can find them.
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
on_b umount "$TOP/build/guest"
yes "what is on this disk is nobody else's business" | head -c 16M >"$VM/marked.raw" || true
in_memory='is larger than 1 GiB' # from the guest's program
on_disk="is nobody else's business"
in_words='witness.ram_mb='
grep -aqF "$in_memory" "$TOP/build/guest/tiny.elf" || fail "the guest's memory has no such text"

capture_start() {
	rm -f "$DIR/capture"
	(exec nsenter -t "$HOST_A" -n python3 -S "$TOP/tests/lib/capture.py" to-b "$DIR/wire") >"$DIR/capture" &
	CAPTURE=$!
	kill_at_exit "$CAPTURE"
	wait_for 60 grep -q capturing "$DIR/capture" || fail "nothing is captured"
}

capture_end() {
	end_process "$CAPTURE"
	cat "$DIR/capture"
	grep -q ' dropped=0 ' "$DIR/capture" || fail "frames were missed: $(<"$DIR/capture")"
}

guest() { # NAME
	cp "$VM/marked.raw" "$VM/$1.raw"
	MEM=256 WITNESS="ram_mb=16 rate=100 disks=vda disk_mb=4 disk_rate=10" GUEST_START=tiny_start \
		guest_on_a "$1" $(guest_drive d0 "$VM/$1.raw" raw) $(mon_on_a "$1")
}

guest a
capture_start
ssh_move a root@host-b --codec none
capture_end
assert_arrived a
[[ $(stat -c %s "$DIR/wire") -gt $((16 << 20)) ]] || fail "that is no whole move"
for text in "$in_memory" "$on_disk" "$in_words" "$VM/a.raw"; do
	! grep -aqF -- "$text" "$DIR/wire" || fail "in clear on the wire: $text"
done

guest b
on_b umount "$BIN"
start_on_b "$BIN/vmferry-dst" --listen "$B_ADDRESS:7788" --plaintext --once --state-dir /run/dst-state --runtime-dir /run/dst-run \
	>"$DIR/dst.out" 2>&1
wait_for 60 grep -q '^listening' "$DIR/dst.out" || fail "$(<"$DIR/dst.out")"
cp "$(there /run/dst-state/token)" "$VMFERRY_STATE_DIR/token"
capture_start
ssh_move b "$B_ADDRESS:7788" --plaintext --codec none
capture_end
for text in "$in_memory" "$on_disk" "$in_words" "$VM/b.raw"; do
	grep -aqF -- "$text" "$DIR/wire" || fail "not seen even in clear: $text"
done
