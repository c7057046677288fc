# shellcheck shell=bash
# For tests of a libvirt guest that runs on as a plain one (--as plain) at host b; to be sourced after libvirt-live.sh, whose guest it is.
#
#   BESIDE                 where its sockets are there: beside its first disk; empty: $TO
#   assert_runs_plain      one QEMU runs it, there, with all that it had written, and no libvirt has it; here its definition is kept, and it is not to be started
#   plain_again            the guest at host a as at first
HOW_WORDS+=(--as plain)
BESIDE=

plain_runs() {
	[[ $(status_of "${BESIDE:-$TO}/$NAME.qmp" 2>/dev/null) == running ]]
}

is_nowhere_defined() {
	[[ $(where_defined) == nowhere ]]
}

assert_runs_plain() {
	wait_for 60 one_qemu || fail "QEMUs that have the guest: $(qemus | xargs)"
	wait_for 60 is_nowhere_defined || fail "libvirt has the guest: $(where_defined)"
	wait_for 60 plain_runs || fail "it does not run there: $(status_of "${BESIDE:-$TO}/$NAME.qmp")"
	[[ -x $TO/$NAME.sh ]] || fail "nothing starts it there: $(ls "$TO")"
	grep -q "<name>$NAME</name>" "$DIR"/state/libvirt-*.xml || fail "nothing has its definition"
	! "${ON[@]}" "$BIN/vmferry" may-start "$NAME" </dev/null >"$DIR/may-start" 2>&1 || fail "it may start here: $(cat "$DIR/may-start")"
	guest_adopt "$NAME" "$(qemus)"
	GUEST_AT[$NAME]=$TO
	guest_verify "${BESIDE:-$TO}/$NAME.serial2"
	assert_eq "$(find "$(libvirt_at a /run/libvirt)" "$(libvirt_at a /etc/libvirt)" -name '*vmferry*')" "" "left behind"
}

plain_again() {
	kill_now "${GUEST_PID[$NAME]}"
	rm -f "$DIR/both/$NAME".*
	libvirt_guest_again
}
