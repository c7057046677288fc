#!/bin/bash
# A guest's QEMU is the child of a container's first process, which runs it again, or with which the container ends, and is started anew. vmferry runs in there. The
# plan names it, the disks get other names, and in place it is refused. What has gone to the background in there, and has that parent for want of
# another, is not started again. Where QEMU itself is the first process a move is refused before the guest is touched: nothing in there could hold it.
# takes: 15
. "$(dirname "$0")/../../lib/aftermath.sh"
[[ $EUID -eq 0 ]] || skip "only root can make the namespaces of a container"
unshare --pid --fork --mount-proc true 2>/dev/null || skip "namespaces cannot be made here"

LINE=("$QEMU" -accel tcg -m 64 -display none -nodefaults -no-user-config -name a -qmp "unix:$DIR/a.qmp,server=on,wait=off" $(guest_drive d0 "$DIR/a.raw" raw))

begin() { # SCRIPT: of the container's first process; its QEMU is $INSIDE there
	rm -f "$DIR"/a.* "$DIR/inside"
	guest_disk "$DIR/a.raw" raw 16M
	setsid unshare --pid --fork --kill-child --mount-proc bash -c "$1" first "$DIR" "${LINE[@]}" </dev/null >"$DIR/container.log" 2>&1 &
	CONTAINER=$!
	kill_at_exit "$CONTAINER"
	wait_for 60 eval '[[ -s $DIR/inside ]] && monitor_answers "$DIR/a.qmp"' || fail "the guest does not come up: $(<"$DIR/container.log")"
	INSIDE=$(<"$DIR/inside")
	FIRST=$(pgrep -P "$CONTAINER")
}

in_container() { # STATUS OPTION...
	local status=0
	mkdir -p "$DIR/to"
	nsenter --target "$FIRST" --pid --mount "$BIN/vmferry" migrate "$INSIDE" local --json "${@:2}" </dev/null >"$DIR/move.json" 2>"$DIR/move.log" || status=$?
	assert_eq "$status" "$1" "exit code ($(tail -n 2 "$DIR/move.log"))"
}

begin 'while "${@:2}" & echo $! >"$1/inside"; do wait; [[ -e $1/a.raw ]] || exec tail -f /dev/null; done'
in_container 3 --in-place
assert_result "'process 1 (bash ' in r['reason'] and '--starter-stopped' in r['reason']"
in_container 0 --disk-dir "$DIR/to"
assert_result "any('process 1 (bash ' in x and 'does not start the guest here again' in x for x in plan['afterwards'])"
[[ ! -e $DIR/a.raw ]] || fail "the old disk has its name"
end_process "$CONTAINER"

rm -rf "$DIR/to"
begin '"${@:2}" -daemonize -pidfile "$1/inside"; tail -f /dev/null; :'
in_container 0 --disk-dir "$DIR/to"
assert_result "not any('process 1' in x for x in plan['afterwards'])"
[[ -e $DIR/a.raw ]] || fail "the disk has another name"
end_process "$CONTAINER"

rm -rf "$DIR/to"
begin 'echo $$ >"$1/inside"; exec "${@:2}"'
in_container 3 --disk-dir "$DIR/to"
assert_result "'process 1 of a container' in r['reason'] and r['where'] == 'source'"
assert_eq "$(status_of "$DIR/a.qmp")" running "QEMU's run state"
