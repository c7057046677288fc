#!/bin/bash
# tests/faults/cold.sh WHEN src-agent|dst-agent|source WHAT: at that moment of the move of a guest that is shut down an agent is killed, stopped for five seconds, or
# stopped for ever; or the source's host is down for a while, and a person vouches for that at the destination (fenced). Afterwards it lies at one place, whole, with one script that starts it.
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/cold.sh"
MOVE_OPTIONS=(--reconnect-timeout 6)

move_start() { # a DEST [OPTION...]: what `reach` starts
	cold_start "$DIR/src" "${@:2}"
}

host_is_down() {
	kill_now "$MOVE_PID"
	[[ $AT_FAULT != "$MOVE_PID" ]] || AT_FAULT=
	go_on
	end_agents_there
	timeout 60 "$BIN/vmferry-dst" recover a --peer-is-fenced --state-dir "$DIR/dst-state" --runtime-dir "$DIR/dst-run" -v </dev/null \
		>"$DIR/recover.out" 2>"$DIR/recover.log" || note "it is not started there ($?)"
}

guest_at_rest
to_listener
reach "$1"
if [[ $2 == source ]]; then host_is_down; else hit "$2" "$3"; fi
go_on
settle_one_place migrate

case $(scripts) in
./src/a.sh) where=source at=$DIR/src ;;
"./${REAL_TO#"$DIR"/}/a.sh") where=destination at=$REAL_TO ;;
*) fail "what starts it: $(scripts | xargs)" ;;
esac
[[ ! $CODE =~ ^[0-9]+$ || $CODE -ge 128 ]] || assert_eq "$(says_where "$CODE")" "$where" "where the guest is, as $SAID_BY says"
TO=$REAL_TO
if [[ $where == source ]]; then
	take_what_is_listed
	assert_untouched
fi
assert_lies_in "$at"
assert_nothing_unfinished

to_local
unset VMFERRY_FAULT
cold "$at" local
assert_lies_in "$TO"
evidence "$where"
