#!/bin/bash
# vmferry may-start: the host that a guest has left does not start its old copy, by whatever script; the one that it came to may, once it runs no
# more; and the other way round when it has come back. Live and cold: the same is noted by every kind of move.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

may_start() { # STATE WORD: the exit code; what was said is in DIR/said
	local status=0
	VMFERRY_STATE_DIR=$1 vmferry may-start "$2" </dev/null >"$DIR/said" 2>&1 || status=$?
	echo "$status"
}

says() { # TEXT
	grep -qF -- "$1" "$DIR/said" || fail "not '$1': $(<"$DIR/said")"
}

here=$VMFERRY_STATE_DIR there=$DIR/dst-state
guest_a
cat >"$DIR/mine.sh" <<END
cd / || exit
exec $QEMU -name a -machine q35 -m 256 -drive file=$DIR/a.raw,format=raw,if=virtio
END
assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may it start beside itself?"
says "it may run already"

# A move that was rolled back has taken nothing away.
to_listener
move_start a "$DEST" --hold
wait_event 'ev["event"] == "notice" and "vmferry switch" in ev["text"]' >/dev/null
assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may it start while it moves?"
says "its move to another host is not over"
kill -TERM "$MOVE_PID"
move_wait 1
assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may it start beside itself again?"
says "it may run already"

move a "$DEST"
assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may its old copy start?"
says "it went to $DEST"
grep -q '"instance": "[^"]' "$here/guests/a.json" || fail "it is not noted which host that is: $(<"$here/guests/a.json")"
assert_eq "$(may_start "$here" a)" 3 "may it, by its name?"
assert_eq "$(may_start "$there" "$TO/a.sh")" 3 "may it start there beside itself?"
says "it may run already"
end_process "${GUEST_PID[a]}"
assert_eq "$(may_start "$there" "$TO/a.sh")" 0 "may it start there?"
says "it came from"
assert_eq "$(VMFERRY_STATE_DIR=$there vmferry may-start a --json | python3 -S -c 'import json, sys; print(json.load(sys.stdin)["may_start"])')" True "in JSON"

# Back, cold, onto another disk: that may start here, the first one still may not, nor what is left there.
mkdir "$DIR/back"
from=$TO
to_listener --state-dir "$here"
VMFERRY_STATE_DIR=$there vmferry migrate "$from/a.sh" "$DEST" --how cold --disk-dir "$DIR/back" --json </dev/null >"$DIR/move.json" 2>"$DIR/move.log" ||
	fail "$(tail -n 3 "$DIR/move.log")"
assert_eq "$(may_start "$here" "$DIR/back/a.sh")" 0 "may it start here again?"
assert_eq "$(may_start "$here" a)" 0 "may it, by its name?"
assert_eq "$(may_start "$here" "$DIR/mine.sh")" 3 "may its first disk?"
assert_eq "$(may_start "$there" "$from/a.sh")" 3 "may what is left there, whose script has another name?"
says "it went to $DEST"
assert_eq "$(may_start "$there" "$from/a.sh.moved-"*)" 3 "may it by that?"
