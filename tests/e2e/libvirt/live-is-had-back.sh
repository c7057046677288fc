#!/bin/bash
# --revert-within: a libvirt guest that has gone as it ran is had back as it was when it was handed over, and libvirt here has it as before; until it is to stay
# libvirt there defines nothing. Or it stays there: as somebody says so, or its time is over. One that somebody has migrated on from there by virsh is not had
# back, nor is one that ended while libvirt there was away.
# timeout: 400
# takes: 25
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

moved_for_now() { # [OPTION...]
	libvirt_live_start "$DEST" --revert-within "${WITHIN:-1h}" "$@"
	wait_event 'ev["event"] == "notice" and "vmferry revert '"$NAME"'" in ev["text"]' >/dev/null
	there=$(cat "$(libvirt_at b "/run/libvirt/qemu/$NAME.pid")")
	kill_at_exit "$there"
	here=$(cat "$(libvirt_at a "/run/libvirt/qemu/$NAME.pid")")
}

order() { # WORDS...
	"${ON[@]}" "$BIN/vmferry" "$@" </dev/null
}

libvirt_guest_runs
to_listener
moved_for_now
assert_eq "$(libvirt_in b virsh -q domstate "$NAME")/$(libvirt_in a virsh -q domstate "$NAME")" running/paused "the guest at either host"
assert_eq "$(state_of "$here")" T "the source's QEMU is held"
libvirt_in b virsh dominfo "$NAME" | says 'Persistent: *no' || fail "libvirt there defines it already"
! libvirt_in a timeout 2 virsh -q resume "$NAME" >/dev/null 2>&1 || fail "it is resumed here"
order revert --no-wait "$NAME"
libvirt_cold_wait 1
assert_result '"taken back as asked" in r["reason"] and r["guest_text"] == "running on the source"'
process_is_gone "$there" || fail "the destination's QEMU was not ended"
assert_runs_at source
assert_nothing_unfinished

# A guest that may run elsewhere is not had back, before a person who knows better says that it does not run there.
is_not_had_back() { # REASON
	order revert --no-wait "$NAME"
	libvirt_cold_wait 6
	assert_result '"recover --peer-is-fenced has it back" in r["guest_text"] and "vmferry recover leaves it to the destination" in r["guest_text"]'
	result 'r["reason"]' | says "$1" || fail "the reason is: $(result 'r["reason"]')"
	assert_eq "$(state_of "$here")" T "the source's QEMU is held"
	end_agents_there
	DST_PID=
	recover 4 --peer-is-fenced
	rm -rf "$DIR/dst-state" "$DIR/dst-run" "$(libvirt_at b /run/libvirt)"/vmferry-*
	find "$(libvirt_at b "$LIBVIRT_GUESTS")" -mindepth 1 -delete
	assert_runs_at source
	to_listener
}

# virsh has saved it there, as it would migrate it onward.
moved_for_now
libvirt_in b virsh -q save "$NAME" "$LIBVIRT_GUESTS/saved" >/dev/null
is_not_had_back 'was migrated away from the destination by another client'

beyond_gate e2e/recover/revert-has-the-guest-back-as-it-was e2e/recover/revert-is-refused-where-it-would-run-twice unit/test-domain || exit 0

# The guest's QEMU there ends while libvirt there was restarted: the reason is lost.
moved_for_now
kill_now "${LIBVIRT_DAEMON[b]}"
libvirt_start_daemon b
kill_now "$there"
is_not_had_back 'we cannot tell whether the guest was migrated away'

# Somebody defines it there, too: that definition is theirs, and told.
moved_for_now
libvirt_in b virsh -q define "$DIR/definition" >/dev/null
order revert --no-wait "$NAME"
libvirt_cold_wait 4
assert_result '"taken back as asked" in r["reason"] and any("virsh undefine" in x and "belongs to the source" in x for x in r["leftovers"])'
libvirt_in b virsh -q undefine "$NAME" >/dev/null || fail "the definition of theirs is gone there"
assert_runs_at source
assert_nothing_unfinished

# The guest ended there meanwhile.
moved_for_now
kill_now "$there"
wait_event 'ev["event"] == "notice" and "its QEMU there has ended since" in ev["text"]' >/dev/null
order revert --no-wait "$NAME"
libvirt_cold_wait 1
assert_runs_at source
assert_nothing_unfinished

# libvirt here is started again meanwhile.
moved_for_now
kill_now "${LIBVIRT_DAEMON[a]}"
libvirt_start_daemon a
order revert --no-wait "$NAME"
libvirt_cold_wait 1
assert_runs_at source
assert_nothing_unfinished

# The guest stays there, as the user says so, or as its time is over.
moved_for_now
order keep --no-wait "$NAME"
libvirt_cold_wait 0
assert_result 'r["autostart"] and "after_error" not in r'
assert_runs_at destination
assert_nothing_unfinished
libvirt_guest_again
libvirt_live_start "$DEST" --revert-within 1s
libvirt_cold_wait 0
assert_runs_at destination
assert_nothing_unfinished
libvirt_guest_again
