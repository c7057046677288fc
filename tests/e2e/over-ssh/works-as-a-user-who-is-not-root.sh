#!/bin/bash
# A move as the user ferry at the destination: journal, sockets and the agent are in that user's own directories, QEMU runs as ferry, and
# the disk is ferry's. Nobody else there reaches QEMU's sockets, during the move and afterwards.
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
sshd_stop
sshd_start 'SetEnv TMPDIR=/run/tmp XDG_RUNTIME_DIR=/run/ferry'
on_b install -d -m 700 -o ferry -g ferry /run/ferry
on_b install -d -m 755 -o ferry -g ferry "$VM/disks"
ssh_guest
remember

refused 3 'not.*(write|be written)|Permission denied' ferry@host-b
DISK_DIR=$VM/disks
ssh_move_start a ferry@host-b --disk-dir "$VM/disks" --hold
wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
assert_eq "$(ls "$(there "$HOME_FERRY/.local/state/vmferry")" | grep -c 'journal$')" 1 "journals of ferry"
[[ ! -e $(there /var/lib/vmferry) && ! -e $(there /run/vmferry) ]] || fail "something is root's"

try() { # USER SOCKET: what that user hears from it
	on_b setpriv --reuid="$1" --regid="$1" --clear-groups /usr/bin/python3 -S -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(3)
try:
    s.connect(sys.argv[1])
    print("connected")
except OSError as e:
    print(type(e).__name__)' "$2"
}
sockets=$(on_b find /run/ferry -type s)
[[ $sockets == *vmferry.qmp* ]] || fail "no sockets of the move: $sockets"
for socket in $sockets; do assert_eq "$(try 65534 "$socket")" PermissionError "nobody at $socket"; done
assert_eq "$(try 1731 "$(grep -m 1 qmp <<<"$sockets")")" connected "ferry at its own"
vmferry switch --no-wait "${GUEST_PID[a]}"
move_wait
assert_eq "$(stat -c %u "/proc/${GUEST_PID[a]}" "$TO/a.raw" | xargs)" "1731 1731" "whose QEMU and disk are"
assert_arrived
[[ -z $(ls -A "$(there "$HOME_FERRY/.cache/vmferry")" 2>/dev/null) ]] || fail "the agent is left"
[[ -z $(ls -A "$(there /run/ferry/vmferry)") ]] || fail "left in ferry's runtime directory"
[[ -z $(find "$(there "$HOME_FERRY")" -name '*.journal') ]] || fail "unfinished journals of ferry"
