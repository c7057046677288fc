#!/bin/bash
# tests/faults/cold.sh WHEN src-agent|dst-agent WHAT: at that moment of the move of a guest that is shut down an agent is killed, stopped for five seconds, or
# stopped for ever. Afterwards it lies at one place, whole, with one script that starts it.
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/cold.sh"
MOVE_OPTIONS=(--reconnect-timeout 6)

move_start() { # a DEST [OPTION...]: what `reach` starts
	cold_start "$DIR/src" "${@:2}"
}

guest_at_rest
to_listener
reach "$1"
hit "$2" "$3"
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
