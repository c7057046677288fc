#!/bin/bash
# A guest's sockets and pidfile have the same paths at the other host, with --disk-dir, too, where the directory is there and the
# name is free: also of what a QEMU that was killed has left. Until the guest is there nobody reaches them, and no other move takes their
# names. What cannot keep its name is made beside the disks, and the plan says why. A move that is rolled back leaves nothing; and after a
# reboot, which takes the directory, the guest's script makes it.
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
DISK_DIR=$VM/disks
on_a mkdir /run/web /run/elsewhere
on_b mkdir /run/web "$VM/disks"

listen_on_b() { # PATH: $B_PID
	start_on_b /usr/bin/python3 -S -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(600)' "$1"
	wait_for 60 test -S "$(there "$1")" || fail "nothing listens at $1"
}

of() { # NAME: prints QEMU's word for such a socket
	echo "unix:$1,server=on,wait=off"
}

ssh_guest a -qmp "$(of /run/web/a.ctl)" -monitor "$(of /run/elsewhere/a.hmp)" -serial "$(of /run/web/a.tty)" -pidfile /run/web/a.pid \
	-chardev "socket,id=c,path=/run/web/a.log.sock,server=on,wait=off,logfile=/run/web/a.log" -vnc unix:/run/web/a.vnc
listen_on_b /run/web/a.tty
other=$B_PID
remember

held_move() {
	ssh_move_start a root@host-b --disk-dir "$DISK_DIR" --hold
	wait_for 60 is_moving_with a 's["held"]' || fail "the move is not held"
	[[ ! -e $(there /run/web/a.ctl) ]] || fail "who comes too early reaches the guest's monitor"
	on_b test -S "$(on_b bash -c 'echo /run/web/.vmferry-*/a.ctl')" || fail "its monitor is not hidden: $(on_b ls -A /run/web)"
}

held_move
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 1
assert_as_remembered

listen_on_b /run/web/a.ctl
end_process "$B_PID"
echo 4194305 >"$(there /run/web/a.pid)"
held_move
on_b bash -c 'grep -aqE "\"path\": ?\"/run/web/a.ctl\"" /var/lib/vmferry/*.journal' || fail "to other moves there the name of a hidden monitor is free"
vmferry switch --no-wait "${GUEST_PID[a]}"
move_wait
assert_result 'any(c == "made beside the disks, as /run/web/a.tty is there already: '"$DISK_DIR"'/a.tty (-serial)" for c in plan["cautions"])'
assert_result 'any(c == "made beside the disks, as there is no directory /run/elsewhere: '"$DISK_DIR"'/a.hmp (-monitor)" for c in plan["cautions"])'
assert_result 'not any("/run/web/a.ctl" in c or "a.pid" in c or "a.log" in c for c in plan["cautions"])'
process_is_gone "$other" && fail "who had the name of the serial line is gone"
assert_eq "$(on_b ls -A /run/web | xargs)" "a.ctl a.log a.log.sock a.pid a.tty a.vnc" "names in /run/web"
assert_eq "$(status_of "$(there /run/web/a.ctl)")" running "what the monitor says"
assert_eq "$(<"$(there /run/web/a.pid)")" "${GUEST_PID[a]}" "the pidfile"
[[ -S $(there "$DISK_DIR/a.tty") && -S $(there "$DISK_DIR/a.hmp") ]] || fail "beside the disks: $(on_b ls -A "$DISK_DIR")"
GUEST_AT[a]=$(there "$VM")
end_process "$other"
assert_arrived

qmp "$(there /run/web/a.ctl)" '{"execute": "quit"}' >/dev/null
wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "it does not end"
on_b rm -r /run/web
start_on_b "$DISK_DIR/a.sh"
wait_for 60 eval '[[ $(status_of "$(there /run/web/a.ctl)" 2>/dev/null) == running ]]' || fail "it does not start again there"
