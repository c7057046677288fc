#!/bin/bash
# The source agent dies, and nobody reads its standard error, which is full: its guard takes the guest back all the same, and keeps
# neither journal nor monitor while it waits to be heard.
. "$(dirname "$0")/../../lib/aftermath.sh"

full_pipe() { # PATH
	mkfifo "$1"
	exec 7<>"$1"
	python3 -S -c 'import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
try:
    while True: os.write(fd, b"\n")
except BlockingIOError: pass' "$1"
}

guest_a
full_pipe "$DIR/unread"
fault src-pre-switchover
MOVES=1 TO=$DIR/d1 MOVING=a
mkdir "$TO"
"$BIN/vmferry" migrate "${GUEST_PID[a]}" local --disk-dir "$TO" </dev/null >/dev/null 2>"$DIR/unread" 7<&- &
MOVE_PID=$!
kill_at_exit "$MOVE_PID"
fault_wait
wait_for 60 runs_here || fail "the guard does not take the guest back"
recover 1
guard_ends
assert_at_source
