#!/bin/bash
# A guest whose QMP monitor is on a pseudo-terminal is asked and moved there, if that can be told from its other pseudo-terminals, and nobody has it open.
# timeout: 240
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"
NO_QMP=yes

monitor_is() { # STATE, as list has it
	vmferry list "${GUEST_PID[a]}" --json >"$DIR/list" || true
	grep -q "\"monitor\": *\"$1\"" "$DIR/list" || fail "list does not say $1: $(cat "$DIR/list")"
}

guest_disk "$DIR/a.raw" raw 64M
tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) -qmp pty
monitor_is answered
TERMINAL=$(grep -o 'pty:/dev/pts/[0-9]*' "$DIR/list" | head -n 1)
sleep 1000 <>"${TERMINAL#pty:}" &
kill_at_exit $!
monitor_is busy
end_process $!
monitor_is answered
move a local
guest_verify "$(orders a)"
guest_stop a

tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) -serial pty -chardev pty,id=q -mon chardev=q,mode=control
monitor_is none
