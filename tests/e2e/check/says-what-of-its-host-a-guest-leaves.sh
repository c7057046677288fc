#!/bin/bash
# The plan names the settings of a QEMU that are not on its command line and therefore stay at this host: its priority, its processors, a
# network namespace of its own. It says nothing about a guest without such settings.
# takes: 10
. "$(dirname "$0")/../../lib/move.sh"

starts() { # NAME [WORD...]: before QEMU; it waits at its beginning
	local name=$1
	shift
	"$@" "$QEMU" -accel tcg -m 64 -display none -nodefaults -no-user-config -S -name "$name" -qmp "unix:$DIR/$name.qmp,server=on,wait=off" &
	PID=$!
	kill_at_exit "$PID"
	wait_for 60 monitor_answers "$DIR/$name.qmp" || fail "$name does not start"
}

check() { # NAME PATTERN
	vmferry check "$PID" local --disk-dir "$DIR/there" >"$DIR/check" 2>&1 || fail "check refuses $1: $(<"$DIR/check")"
	grep -qE -- "$2" "$DIR/check" || fail "check of $1 does not say '$2': $(<"$DIR/check")"
}

starts plain
check plain "nothing stands in the way"
! grep "does not carry along\|does not go along" "$DIR/check" || fail "it has nothing of its own of this host"
end_process "$PID"

processors=$(sed -n 's/^Cpus_allowed_list:\t//p' /proc/self/status)
starts polite nice -n 3 ionice -c 3 chrt --batch 0 taskset -c "${processors%%[-,]*}"
places="processors ${processors%%[-,]*}"
[[ $processors == *[-,]* ]] || places=
check polite "vmferry does not carry along what the guest's QEMU has of this host: nice $(($(nice) + 3 > 19 ? 19 : $(nice) + 3)), the scheduling policy 'batch', the priority 'idle' for disks${places:+, $places}\. Set it up in what starts the guest there"
end_process "$PID"

if [[ $EUID -eq 0 ]]; then
	starts apart unshare -n
	check apart "the guest's QEMU is in a network namespace of its own here, which does not go along"
else
	echo "skipped: only root has a network namespace of its own at once"
fi
