#!/bin/bash
# Output of a guest to QEMU's standard output, and QEMU's log, are bounded at the destination; the guest is not kept waiting there, even as
# it boots with that as its console.
. "$(dirname "$0")/../../lib/aftermath.sh"

hmp() { # COMMAND
	qmp "$(free_monitor a)" "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"$1\"}}" >/dev/null
}

assert_bounded() { # at most the 256 KiB that a log may have
	local pid=${GUEST_PID[a]} fd kept
	for fd in 1 2; do
		kept=$(stat -L -c '%b * %B' "/proc/$pid/fd/$fd")
		[[ $((kept)) -le $((256 << 10)) ]] || fail "descriptor $fd of QEMU ($(readlink "/proc/$pid/fd/$fd")) holds $((kept)) bytes"
	done
}

boots_again() {
	grep -aq 'witness ready' "$DIR/d1/a.console" && guest_order "$(orders a)" stats >/dev/null 2>&1
}

# A guest with Linux in it, which has consoles
WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20"
head -c 16M /dev/urandom >"$DIR/a.raw"
MEM=256 guest_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a) -serial stdio \
	-append "console=ttyS2 ignore_loglevel $(guest_cmdline)"
move a local
result 'plan["notes"]' | grep -q "QEMU's standard output has no reader" || fail "the plan does not say it: $(result 'plan["notes"]')"
hmp "log exec,nochain"
written() { # how far the shared position is
	[[ $(sed -n 's/^pos:\t//p' "/proc/${GUEST_PID[a]}/fdinfo/2") -ge $((256 << 10)) ]]
}
wait_for 60 written || fail "QEMU does not log: $(cat "/proc/${GUEST_PID[a]}/fdinfo/2")"
for _ in {1..5}; do guest_order "$(orders a)" stats >/dev/null; done
hmp "log none"
assert_bounded
guest_verify "$(orders a)" blocks
: >"$DIR/d1/a.console"
qmp "$(free_monitor a)" '{"execute": "system_reset"}' >/dev/null
wait_for 60 boots_again || fail "the guest does not boot again: $(tail -n 3 "$DIR/d1/a.console")"
assert_bounded
