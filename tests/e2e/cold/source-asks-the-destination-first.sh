#!/bin/bash
# The source's agent ends when the destination has promised to have a guest that is shut down: a person may have had the copy started since
# (--peer-is-fenced), so it is not given back here unheard. Where it was started there it is not started here; where it was not it is given back;
# and where nobody answers, or who answers knows nothing of it, nothing changes, but by a person's word.
. "$(dirname "$0")/../../lib/cold.sh"

# The source's agent is gone, at that point, and nobody listens there.
down_at() { # POINT
	rm -rf "$DIR/src" "$DIR"/d[0-9]*
	guest_at_rest
	to_listener
	fault "$1"
	cold_start "$DIR/src" "$DEST"
	fault_wait
	wait_for 60 process_is_gone "$MOVE_PID" || fail "the agent lives on"
	end_agents_there
}

assert_set_aside() {
	[[ ! -e $DIR/src/a.sh && -e $(echo "$DIR"/src/a.sh.moved-*) ]] || fail "something starts it here: $(ls "$DIR/src")"
}

down_at src-ready
recover_there 0 a --peer-is-fenced
assert_eq "$(scripts)" "./${TO#"$DIR"/}/a.sh" "scripts that start it"
recover 6 # no agent answers
assert_set_aside
mkdir "$DIR/forgotten" # the destination has finished so many moves since that its list lacks this one
mv "$DIR"/dst-state/*.done "$DIR/forgotten"
to_listener
recover 6 --dest "$DEST"
said recover.log 'the destination has forgotten this move.*vmferry recover a --peer-is-fenced'
assert_set_aside
mv "$DIR"/forgotten/*.done "$DIR/dst-state"
printf y | dd of="$DIR/src/a.raw" bs=1 conv=notrunc status=none # somebody has started it here, too
recover 6 --dest "$DEST"
said recover.log 'has been written here since the guest was handed over'
assert_set_aside
rm "$DIR/src/a.raw"
recover 0 --dest "$DEST"
assert_lies_in "$TO"
assert_nothing_unfinished

down_at src-ready
recover 6
assert_set_aside
to_listener
recover 1 --dest "$DEST"
assert_untouched

down_at src-set-aside # some of what the destination needs was not sent yet
recover 4	      # files there stay there
[[ -x $DIR/src/a.sh ]] || fail "nothing starts it here"
to_listener
recover 1 --dest "$DEST"
assert_untouched

# The destination dies before it has promised, and says so when it starts again.
fault before-DST_PREPARED stop
to_listener
rm -rf "$DIR/src" "$DIR"/d[0-9]*
guest_at_rest
cold_start "$DIR/src" "$DEST"
fault_wait
kill_now "$MOVE_PID"
end_agents_there
to_listener
recover 1 --dest "$DEST"
assert_untouched

down_at src-ready # the host is set up anew
rm -f "$DIR"/dst-state/*.{journal,done}
to_listener
recover 6 --dest "$DEST"
recover 1 --dest "$DEST" --peer-is-fenced
[[ -x $DIR/src/a.sh ]] || fail "nothing starts it here"

down_at src-ready # the host is gone
recover 4 --peer-is-fenced
(cd "$DIR/src" && md5sum --quiet -c "$DIR/sums") || fail "its files are others now"
[[ -x $DIR/src/a.sh ]] || fail "nothing starts it here"
