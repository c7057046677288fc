#!/bin/bash
# The source's host goes down when the destination has promised to have a guest that is shut down, and comes up again: a person may have had the
# copy started meanwhile (--peer-is-fenced), so it is not given back here unheard. Where it was started there it is not started here; where it
# was not it is given back; and where nobody answers nothing changes, but by a person's word.
. "$(dirname "$0")/../lib/cold.sh"

recover_rebooted() { # STATUS [OPTION...]
	local status=0
	timeout 60 "$REBOOTED/vmferry" recover a -v "${@:2}" </dev/null >"$DIR/recover.out" 2>"$DIR/recover.log" || status=$?
	assert_eq "$status" "$1" "exit code of vmferry recover ($(tail -n 2 "$DIR/recover.log"))"
}

# The source's agent is gone, at that point, and nobody listens there.
down_at() { # POINT
	rm -rf "$DIR/src" "$DIR"/d[0-9]*
	guest_at_rest
	to_listener
	fault "$1"
	cold_start "$DIR/src" "$DEST"
	fault_wait
	wait_for 10 process_is_gone "$MOVE_PID" || fail "the agent lives on"
	end_agents_there
}

promised_and_down() {
	down_at src-ready
}

assert_set_aside() {
	[[ ! -e $DIR/src/a.sh && -e $(echo "$DIR"/src/a.sh.moved-*) ]] || fail "something starts it here: $(ls "$DIR/src")"
}

promised_and_down
recover_there 0 a --peer-is-fenced
assert_eq "$(scripts)" "./${TO#"$DIR"/}/a.sh" "scripts that start it"
recover_rebooted 6 # nobody answers
assert_set_aside
to_listener
recover_rebooted 0 --dest "$DEST"
assert_lies_in "$TO"
assert_nothing_unfinished

promised_and_down
recover_rebooted 6
assert_set_aside
to_listener
recover_rebooted 1 --dest "$DEST"
assert_untouched

down_at src-set-aside # and all that the destination needs was not sent yet
recover_rebooted 4 # what is there stays there
[[ -x $DIR/src/a.sh ]] || fail "nothing starts it here"
to_listener
recover_rebooted 1 --dest "$DEST"
assert_untouched

promised_and_down # and that host is gone
recover_rebooted 4 --peer-is-fenced # what is there stays there
(cd "$DIR/src" && md5sum --quiet -c "$DIR/sums") || fail "its files are others now"
[[ -x $DIR/src/a.sh ]] || fail "nothing starts it here"
