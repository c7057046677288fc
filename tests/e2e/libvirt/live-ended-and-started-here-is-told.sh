#!/bin/bash
# A libvirt guest that is ended while it is copied (virsh destroy) is nowhere, which the move says; one that was started again here by then (virsh start) is here,
# and that is said.
# timeout: 200
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

ended_at() { # POINT
	to_local
	fault "$1" stop
	to_listener
	libvirt_live_start "$DEST"
	fault_wait
	libvirt_in a virsh -q destroy "$NAME"
}

libvirt_guest_runs
ended_at src-migrate
fault_continue
libvirt_cold_wait 8
assert_result 'r["guest"] == "none" and ("its QEMU was ended" in r["guest_text"] or "its QEMU has ended" in r["guest_text"])'
assert_eq "$(where_defined)" source "where libvirt has it"
assert_nothing_unfinished
libvirt_run a "$NAME"

for point in src-migrate src-definition-aside; do
	ended_at "$point"
	libvirt_in a virsh -q start "$NAME" >/dev/null
	fault_continue
	libvirt_cold_wait 1
	assert_result 'r["guest"] == "source" and "so it was started again" in r["guest_text"]'
	assert_runs_at source
	assert_nothing_unfinished
done
