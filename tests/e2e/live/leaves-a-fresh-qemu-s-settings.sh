#!/bin/bash
# A destination QEMU keeps nothing of the move: migration settings, exports, bitmaps and NBD server are those of a QEMU that was just
# started. And after a cancelled move the source's are as they were.
# covered in the gate: e2e/fail/cancel-rolls-back-in-every-stage, e2e/kill/guard-keeps-qemu-s-connections-until-the-end
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

settings() { # [NAME]
	local query monitor
	monitor=$(monitor "${1:-a}")
	for query in query-migrate-capabilities query-migrate-parameters query-block-exports; do
		qmp "$monitor" "{\"execute\": \"$query\"}"
	done
	qmp "$monitor" '{"execute": "query-block"}' | grep -o '"dirty-bitmaps[^]]*' || true
	qmp "$monitor" '{"execute": "nbd-server-stop"}' 2>&1 || true # an error, as none runs
}

# A source QEMU that was held by a bitmap (7.2, 11.1) keeps an empty list, which it cannot unset; QEMU says so itself.
settings_at_source() {
	local said
	said=$(settings)
	[[ $said != *'"block-bitmap-mapping": []'* ]] || grep -qE ' (7|11)\.' <("$QEMU" --version) || fail "this QEMU is not held by a bitmap"
	sed 's/"block-bitmap-mapping": \[\], //' <<<"$said"
}

guest_disk "$DIR/b.qcow2" qcow2 32M
MEM=256 WITNESS="ram_mb=32 disks=vda disk_mb=8" tiny_start a $(guest_drive d1 "$DIR/b.qcow2" qcow2)
settings >"$DIR/fresh"
for mode in pages opaque; do
	# QEMU 7.2's TCG loses writes to the rings of a busy disk, which nothing finds in opaque mode, and the guest waits for its disk for ever. Its own
	# migration loses them, too, after some thousands of passes; that of a guest whose disk is at rest does not.
	[[ $mode != opaque || -z ${QUIET:-} ]] || guest_order "$(orders a)" stop >/dev/null
	move_start a local --ram-mode $mode --hold
	wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
	vmferry cancel --no-wait "${GUEST_PID[a]}"
	move_wait 1
	diff -u "$DIR/fresh" <(settings_at_source) || fail "the source QEMU has other settings after a cancelled move ($mode)"
	assert_nothing_left
	move a local --ram-mode $mode
	if [[ -n ${QEMU_THERE:-} && $mode == pages ]]; then
		"$QEMU_IMG" create -q -f qcow2 "$DIR/fresh.qcow2" 32M
		QEMU=$QEMU_THERE MACHINE=$(result 'plan["machine"]') MEM=256 WITNESS="ram_mb=32 disks=vda disk_mb=8" tiny_start fresh \
			$(guest_drive d1 "$DIR/fresh.qcow2" qcow2)
		settings fresh >"$DIR/fresh"
		QEMU=$QEMU_THERE
	fi
	diff -u "$DIR/fresh" <(settings) || fail "the destination QEMU has other settings than a fresh one ($mode)"
done
guest_verify "$(orders a)" blocks
