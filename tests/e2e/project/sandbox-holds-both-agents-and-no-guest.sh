#!/bin/bash
# Both agents, in each of their threads, are under a seccomp filter without new privileges before they hear their first peer; the QEMU that
# the destination starts, and the launcher that starts it, are not. Calls that are refused to the agents fail, and the move goes on;
# VMFERRY_SANDBOX=off switches it off.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

is() { # PID SECCOMP NO_NEW_PRIVS: in all threads
	local said
	said=$(awk '/^(Seccomp|NoNewPrivs):/ { print $1 $2 }' "/proc/$1"/task/*/status | sort -u | xargs)
	assert_eq "$said" "NoNewPrivs:$3 Seccomp:$2" "process $1 ($(tr '\0' ' ' <"/proc/$1/cmdline"))"
}

may_open() { # PID FILES
	assert_eq "$(awk '/^Max open files/ { print $4 }' "/proc/$1/limits")" "$2" "open files that process $1 may have"
}

launchers() { # prints the pids of ours
	local pid
	for pid in "$MOVE_PID" $DST_PID $(agent_dst); do
		pgrep -P "$pid" -x vmferry-launch || true
	done
}

guest_a
hard=$(ulimit -Hn)
ulimit -Sn 1000 # the limit that a session of SSH has
for to in to_listener to_local; do
	$to
	[[ -z $DST_PID ]] || is "$DST_PID" 2 1
	fault before-SRC_COMMITTED stop
	export VMFERRY_FAULT_BEFORE=src-forbidden:fail
	move_start a "$DEST"
	fault_wait
	unset VMFERRY_FAULT_BEFORE
	is "$MOVE_PID" 2 1
	is "$(agent_dst)" 2 1
	is "$(qemu_dst)" 0 0
	is "$(pgrep -f "^vmferry --guard $DIR/")" 0 0
	may_open "$MOVE_PID" "$hard"
	may_open "$(agent_dst)" "$hard"
	[[ -n $(launchers) ]] || fail "there is no launcher"
	for pid in $(launchers); do is "$pid" 0 0 && may_open "$pid" 1000; done # the launcher's programs have that limit (some QEMUs raise it themselves)
	grep -q 'sandbox: what is refused is refused' "$DIR/move.log" || fail "nothing was refused to the source: $(<"$DIR/move.log")"
	fault_continue
	move_wait
	is "${GUEST_PID[a]}" 0 0
	assert_moved "$DIR/$([[ $to == to_listener ]] || echo d1/)a.raw"
done

# A listener that can start nothing any more ends, for who looks after it to start it again.
to_listener
kill -KILL "$(pgrep -P "$DST_PID" -x vmferry-launch)"
wait_for 60 process_is_gone "$DST_PID" || fail "the listener goes on without its launcher"
grep -q 'the launcher.*has died' "$DIR/dst.log" || fail "it did not say why it ends: $(<"$DIR/dst.log")"
DST_PID=

# The same to the destination.
fault dst-forbidden fail
to_listener
move a "$DEST"
grep -q 'sandbox: what is refused is refused' "$DIR/dst.log" || fail "nothing was refused to the destination: $(<"$DIR/dst.log")"
assert_moved "$DIR/d2/a.raw"

# Without: the same try ends the move.
export VMFERRY_SANDBOX=off
fault src-forbidden fail
to_listener
is "$DST_PID" 0 0
move_start a "$DEST"
move_wait 3
assert_result '"the sandbox lets us start programs" in r["reason"]'
unset VMFERRY_FAULT VMFERRY_SANDBOX
to_local
assert_next_move_succeeds
