#!/bin/bash
# timeout: 300
# Somebody wants to resume the guest at the destination before it was handed over. The guest's monitors are not there until it
# is; and where one cannot be taken away (a pseudo-terminal) its `cont` ends that QEMU and rolls the move back: never two.
# takes: 15
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

terminal() { # PID: prints that of its monitor, the only one
	sed -n 's|^tty-index:[^0-9]*|/dev/pts/|p' /proc/"$1"/fdinfo/* | head -n 1
}

resume_there() {
	local there
	there=$(qemu_dst) || fail "no QEMU at the destination"
	kill_at_exit "$there"
	# QEMU looks once a second whether somebody has opened it; what it echoes it has read.
	timeout 20 python3 -S - "$(terminal "$there")" "${1:-later}" <<-'END' || fail "the monitor does not answer"
		import os, sys
		fd, said = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY), b""
		os.write(fd, b"cont\n")
		try:
		    while b"cont" not in said or b"(qemu)" not in said.split(b"cont")[-1]:
		        more = os.read(fd, 1000)
		        if not more: # a terminal that has hung up before it is read from says so like this
		            raise OSError
		        said += more
		except OSError: # the QEMU has ended
		    sys.exit(sys.argv[2] != "now")
	END
	[[ -z ${1:-} ]] || wait_for 60 process_is_gone "$there" || fail "a guest that runs beside the source's is left alone"
}

guest_a -monitor pty
to_local

# Loaded and promised.
move_until local src-ready:stop
resume_there now
assert_eq "$(status_of "$(free_monitor a)")" finish-migrate "the source's guest"
fault_continue
move_wait 1
assert_result '"resumed at the destination by another client" in r["reason"]'
assert_at_source

# A QEMU that is not loaded yet would start the guest by itself later.
move_until local memory --hold
resume_there
vmferry set "${GUEST_PID[a]}" bwlimit=0
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null || true # the move may have noticed it by then
move_wait 1
assert_result '"resumed at the destination by another client" in r["reason"]'
assert_at_source

# The sockets are there as soon as the guest is.
move_until local before-DST_START:stop
for name in a.qmp a.mon a.orders; do
	[[ ! -e $TO/$name ]] || fail "$name is there before the guest is"
	[[ -S $(echo "$TO"/.vmferry-*/$name) ]] || fail "$name is nowhere"
done
assert_eq "$(stat -c %a "$TO"/.vmferry-*)" 700
fault_continue
move_wait
assert_moved
