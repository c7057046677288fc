#!/bin/bash
# A guest is attached to under a sandbox that denies all, with many iothreads, before it runs (-S), in the background, with several busy processors, and in
# namespaces of its own; or it is refused before anything is touched: where its QEMU is in a container, has another root, is traced already, or is stopped. QEMU 11.1 removes the
# monitor again.
# timeout: 400
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"
. "$(dirname "$0")/../../lib/hmp.sh"
NO_QMP=yes

guest_disk "$DIR/a.raw" raw 64M

state_by_attaching() { # PID: what QEMU says of its guest by the monitor that it was given
	vmferry attach "$1" >"$DIR/attach" 2>&1 || fail "it is not attached to: $(cat "$DIR/attach")"
	status_of "$VMFERRY_RUNTIME_DIR/vmferry-$1.qmp"
}

detaches() { # PID
	vmferry attach "$1" --detach >"$DIR/detach" 2>&1 || fail "the monitor stays: $(cat "$DIR/detach")"
	[[ ! -e $VMFERRY_RUNTIME_DIR/vmferry-$1.qmp ]] || fail "the socket stays"
	vmferry attach "$1" --detach | grep -q "has no monitor of vmferry's" || fail "it is not gone"
}

is_refused() { # PID WORDS
	vmferry attach "$1" >"$DIR/attach" 2>&1 && fail "it was attached to"
	grep -q "$2" "$DIR/attach" || fail "attach does not say '$2': $(cat "$DIR/attach")"
	grep -q "r-xp 00000000 00:00 0 *\$" "/proc/$1/maps" && fail "code that was put into QEMU is left there"
	[[ ! -e $VMFERRY_RUNTIME_DIR/vmferry-$1.qmp ]] || fail "there is a monitor"
}

hard_for() { # VERSION
	local -a iothreads=()
	local i
	QEMU=$(qemu_called "$1")
	echo "--- QEMU $1: a sandbox, iothreads, busy processors"
	for ((i = 0; i < 16; i++)); do iothreads+=(-object "iothread,id=io$i"); done
	SMP=2 WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=50" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) "${iothreads[@]}" \
		-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny
	[[ $(state_by_attaching "${GUEST_PID[a]}") == running ]] || fail "the guest does not run"
	if [[ $1 == 11.1 ]]; then
		detaches "${GUEST_PID[a]}"
		vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/d" --attach >"$DIR/check" 2>&1 || fail "check: $(cat "$DIR/check")"
		assert_nothing_lent a
		[[ $(state_by_attaching "${GUEST_PID[a]}") == running ]] || fail "the guest does not run"
	else
		vmferry attach "${GUEST_PID[a]}" --detach >"$DIR/detach" 2>&1 && fail "QEMU $1 removes a monitor"
		grep -q 'cannot remove the monitor' "$DIR/detach" || fail "detach says: $(cat "$DIR/detach")"
		vmferry list "${GUEST_PID[a]}" -v | grep -q 'made by vmferry' || fail "list does not know the monitor"
	fi
	guest_verify "$(orders a)" blocks
	guest_stop a

	echo "--- QEMU $1: before it runs"
	tiny_launch s -S
	wait_for 60 eval 'vmferry attach "${GUEST_PID[s]}" &>"$DIR/attach"' || fail "it is not attached to: $(cat "$DIR/attach")"
	[[ $(status_of "$VMFERRY_RUNTIME_DIR/vmferry-${GUEST_PID[s]}.qmp") == prelaunch ]] || fail "the guest is not as it was"
	guest_stop s

	echo "--- QEMU $1: in the background"
	"$QEMU" -accel tcg -machine q35 -m 64 -display none -nodefaults -name d -daemonize -pidfile "$DIR/d.pid"
	guest_adopt d "$(<"$DIR/d.pid")"
	[[ $(state_by_attaching "${GUEST_PID[d]}") == running ]] || fail "the guest does not run"
	guest_stop d
}

mkdir "$DIR/d"
hard_for 10.0
hard_for 7.2
hard_for 11.1
[[ -z ${QEMU_82:-} ]] || hard_for "$QEMU_82" # Ubuntu 24.04's, where there is one

echo "--- refused"
tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
kill -STOP "${GUEST_PID[a]}"
is_refused "${GUEST_PID[a]}" 'is stopped (SIGSTOP)'
kill -CONT "${GUEST_PID[a]}"
python3 -S - "${GUEST_PID[a]}" >"$DIR/traced" <<-'END' &
	import ctypes, signal, sys
	if ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), None, None) == 0: # PTRACE_SEIZE
	    print("traced", flush=True)
	signal.pause()
END
TRACER=$!
kill_at_exit "$TRACER"
wait_for 60 grep -q traced "$DIR/traced" || fail "it cannot be traced"
is_refused "${GUEST_PID[a]}" "is traced by process $TRACER"
end_process "$TRACER"
[[ $(state_by_attaching "${GUEST_PID[a]}") == running ]] || fail "the guest does not run"
guest_verify "$(orders a)"
guest_stop a
[[ $EUID -eq 0 ]] || exit 0 # what follows needs root

echo "--- without the right to trace it, and what of the host is to blame"
ON=(setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace)
tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
cat >"$DIR/untraced.py" <<-'END'
	import ctypes, os, struct, sys
	p, PTRACE, EPERM, libc = lambda *x: struct.pack("HBBI", *x), 101, 1, ctypes.CDLL(None)
	rules = p(0x20, 0, 0, 0) + p(0x15, 0, 1, PTRACE) + p(6, 0, 0, 0x50000 | EPERM) + p(6, 0, 0, 0x7fff0000)
	program = struct.pack("HxxxxxxP", 4, ctypes.cast(ctypes.create_string_buffer(rules), ctypes.c_void_p).value)
	assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0 # NO_NEW_PRIVS, SECCOMP
	os.execv(sys.argv[1], sys.argv[1:])
END
cp -r /proc/sys/kernel/random "$DIR/random" 2>/dev/null || true
without_the_right() { # YAMA'S NUMBER WORDS
	unshare --mount --propagation private bash -c 'mount -t tmpfs -o nodev none /proc/sys/kernel && cp -r "$1/random" /proc/sys/kernel/ && mkdir /proc/sys/kernel/yama &&
		echo "$2" >/proc/sys/kernel/yama/ptrace_scope &&
		{ [[ $2 == 0 ]] || { mknod -m 600 /proc/sys/kernel/closed c 1 3 && mount --bind /proc/sys/kernel/closed "/proc/$4/mem"; }; } && # as Yama has it
		exec setpriv --bounding-set -sys_ptrace --inh-caps -sys_ptrace python3 -S "$1/untraced.py" "$3" attach "$4"' bash \
		"$DIR" "$1" "$BIN/vmferry" "${GUEST_PID[a]}" >"$DIR/attach" 2>&1 && fail "it was attached to"
	grep -q "$2" "$DIR/attach" || fail "attach does not say '$2': $(cat "$DIR/attach")"
	[[ ! -e $VMFERRY_RUNTIME_DIR/vmferry-${GUEST_PID[a]}.qmp ]] || fail "there is a monitor"
}
without_the_right 0 'something forbids ptrace to vmferry, such as the filter of a container'
without_the_right 1 'kernel.yama.ptrace_scope is 1, with which only a process with the capability CAP_SYS_PTRACE may trace it'
without_the_right 3 'kernel.yama.ptrace_scope is 3, with which no process may trace another one until'
[[ $(state_by_attaching "${GUEST_PID[a]}") == running ]] || fail "the guest does not run"
guest_verify "$(orders a)"
guest_stop a

echo "--- in namespaces of its own"
ON=(unshare --net --ipc --uts --cgroup)
tiny_start n $(guest_drive d0 "$DIR/a.raw" raw)
[[ $(state_by_attaching "${GUEST_PID[n]}") == running ]] || fail "the guest does not run"
guest_verify "$(orders n)"
guest_stop n

echo "--- in a container"
ON=(unshare --pid --fork --kill-child)
tiny_launch n $(guest_drive d0 "$DIR/a.raw" raw)
wait_for 60 eval 'INSIDE=$(pgrep -P "${GUEST_PID[n]}" qemu)' || fail "QEMU does not start"
is_refused "$INSIDE" 'runs in a container'
guest_wait_ready n
guest_verify "$(orders n)"
guest_stop n

ON=(unshare --mount --propagation private -- sh -c 'mount -t tmpfs none "$0" && exec "$@"' "$VMFERRY_RUNTIME_DIR")
tiny_start a $(guest_drive d0 "$DIR/a.raw" raw)
is_refused "${GUEST_PID[a]}" 'does not see the directory'
guest_stop a
