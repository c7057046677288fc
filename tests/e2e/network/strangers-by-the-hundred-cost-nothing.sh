#!/bin/bash
# Hundreds of connections that say nothing, or one byte as TLS would, and as many again as soon as they are closed: no process, little
# memory, few lines in the log. Guests that arrived before go on, and others arrive. A cgroup shows it where there is one: QEMU
# shares the agent's, and could not make a thread any more.
# timeout: 240
. "$(dirname "$0")/../../lib/aftermath.sh"

limit_processes() { # PID: in a cgroup for N processes and threads
	local at
	at=$(awk '$3 == "cgroup" && $4 ~ /(^|,)pids(,|$)/ { print $2; exit }' /proc/mounts)
	CGROUP=$at/vmferry-test-$$
	[[ -n $at && $(id -u) -eq 0 ]] && mkdir "$CGROUP" 2>/dev/null || return 0
	at_exit leave_cgroup
	echo "$1" >"$CGROUP/cgroup.procs"
	echo 200 >"$CGROUP/pids.max"
	echo "the listener and its guests may have 200 threads"
}

leave_cgroup() {
	local pid
	for pid in $(<"$CGROUP/cgroup.procs"); do echo "$pid" >"${CGROUP%/*}/cgroup.procs"; done 2>/dev/null
	rmdir "$CGROUP"
}

resident() { # PID: KiB
	sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"
}

guest_a
to_listener
limit_processes "$DST_PID"
move a "$DEST"
assert_moved
before=$(resident "$DST_PID")
"$TOP/tests/lib/strangers.py" "$DEST" 400 more >"$DIR/strangers" &
kill_at_exit $!
wait_for 60 grep -q connected "$DIR/strangers" || fail "the strangers do not come"
! pgrep -P "$DST_PID" -x vmferry-dst >/dev/null || fail "there are processes for strangers: $(pgrep -P "$DST_PID" -x vmferry-dst | wc -l)"
guest_verify "$(orders a)" blocks
move a "$DEST"
guest_verify "$(orders a)" blocks
wait_for 60 eval '! pgrep -P "$DST_PID" -x vmferry-dst >/dev/null' || fail "there are processes for strangers"
[[ $(resident "$DST_PID") -lt $((before + 16384)) ]] || fail "from $before to $(resident "$DST_PID") KiB of memory"
lines=$(grep -c 'was refused' "$DIR/dst.log") || true
[[ $lines -gt 0 && $lines -lt 100 ]] || fail "$lines lines about strangers"
echo "memory $before to $(resident "$DST_PID") KiB, $lines lines"
