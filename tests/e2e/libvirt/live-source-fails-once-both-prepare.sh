#!/bin/bash
# A source that fails while both hosts prepare the live move of a libvirt guest leaves nothing of the move at the destination, whether
# libvirt there has begun to start a QEMU by then or not, and the guest runs on here as before.
# takes: 20
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

is_stopped() { # PID
	[[ $(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat") == T ]]
}

libvirt_guest_runs
on_b=("${DST_ON[@]}")
# [POINT at which the destination stands when the source has failed]
for point in '' dst-prepare dst-libvirt-prepare dst-libvirt-prepared; do
	DST_ON=("${on_b[@]}")
	rm -f "$DIR/here" "$DIR/there"
	[[ -z $point ]] || DST_ON+=("VMFERRY_FAULT=$point:stop:$DIR/there")
	to_listener
	VMFERRY_FAULT=src-libvirt-begun:stop:$DIR/here libvirt_live_start "$DEST"
	wait_for 60 test -s "$DIR/here"
	wait_for 60 is_stopped "$(<"$DIR/here")"
	# Somebody has an NBD server in that QEMU, of which there is one: the move cannot have its own.
	libvirt_in a virsh -q qemu-monitor-command "$NAME" \
		'{"execute":"nbd-server-start","arguments":{"addr":{"type":"unix","data":{"path":"'"$DIR/others.nbd"'"}}}}' >/dev/null
	kill -CONT "$(<"$DIR/here")"
	if [[ -n $point ]]; then
		wait_for 60 test -s "$DIR/there"
		wait_for 60 is_stopped "$(<"$DIR/there")"
		wait_for 60 grep -q 'JOURNAL in SRC_ABORTED' "$DIR/move.log"
		kill -CONT "$(<"$DIR/there")"
	fi
	libvirt_cold_wait 1
	result 'r["reason"]' | says -i 'nbd' || fail "it failed otherwise: $(result 'r["reason"]')"
	libvirt_in a virsh -q qemu-monitor-command "$NAME" '{"execute":"nbd-server-stop"}' >/dev/null
	assert_runs_at source
	assert_nothing_unfinished
	assert_eq "$(find "$DIR/dst-state" -name '*.definition')$(find "$(libvirt_at b "$LIBVIRT_GUESTS")" -type f ! -name '*.console')" "" "left there at $point"
done
DST_ON=("${on_b[@]}")
to_listener
libvirt_live_start "$DEST"
libvirt_cold_wait 0
assert_runs_at destination
assert_nothing_unfinished
