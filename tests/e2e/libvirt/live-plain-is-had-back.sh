#!/bin/bash
# --revert-within: a libvirt guest that runs on as a plain one (--as plain) is had back as it was when it was handed over, and libvirt here has it as before; or it stays
# there, and libvirt here forgets it then.
# timeout: 200
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"
. "$(dirname "$0")/../../lib/libvirt-plain.sh"

moved_for_now() {
	libvirt_live_start "$DEST" --revert-within 1h
	wait_event 'ev["event"] == "notice" and "vmferry revert '"$NAME"'" in ev["text"]' >/dev/null
	here=$(cat "$(libvirt_at a "/run/libvirt/qemu/$NAME.pid")")
	there=$(qemus | grep -vx "$here")
	kill_at_exit "$there"
	assert_eq "$(status_of "$TO/$NAME.qmp")/$(libvirt_in a virsh -q domstate "$NAME")" running/paused "the guest at either host"
	assert_eq "$(state_of "$here")" T "the source's QEMU is held"
}

libvirt_guest_runs
to_listener
moved_for_now
! libvirt_in a timeout 2 virsh -q resume "$NAME" >/dev/null 2>&1 || fail "it is resumed here"
"${ON[@]}" "$BIN/vmferry" revert --no-wait "$NAME" </dev/null
libvirt_cold_wait 1
assert_result '"taken back as asked" in r["reason"] and r["guest_text"] == "running on the source"'
process_is_gone "$there" || fail "the destination's QEMU was not ended"
assert_runs_at source
assert_nothing_unfinished

moved_for_now
"${ON[@]}" "$BIN/vmferry" keep "$NAME" </dev/null
libvirt_cold_wait 0
assert_eq "$(where_defined)" nowhere "where libvirt has the guest"
process_is_gone "$here" || fail "the source's QEMU was not ended"
guest_adopt "$NAME" "$there"
GUEST_AT[$NAME]=$TO
guest_verify "$TO/$NAME.serial2"
assert_nothing_unfinished
