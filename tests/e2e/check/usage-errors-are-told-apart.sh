#!/bin/bash
# Usage errors: exit code 2, one line or two on stderr, nothing on stdout, nothing touched.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$TOP/tests/lib/tiny.sh"

wrong() { # ARGUMENT...
	local status=0
	"$BIN/$1" "${@:2}" >"$DIR/out" 2>"$DIR/err" </dev/null || status=$?
	assert_eq "$status" 2 "exit code of: $*"
	[[ ! -s $DIR/out && -s $DIR/err ]] || fail "$*: usage belongs on stderr: $(<"$DIR/out")"
}

wrong vmferry
wrong vmferry frobnicate
wrong vmferry migrate
wrong vmferry migrate a
tiny_start a
wrong vmferry migrate "${GUEST_PID[a]}" local # that there is no such guest would be said first
guest_stop a
wrong vmferry migrate a local --disk-dir /tmp --max-downtime 0
wrong vmferry migrate a local --disk-dir /tmp --max-downtime 12x
wrong vmferry migrate a local --disk-dir /tmp --bwlimit fast
wrong vmferry migrate a local --disk-dir /tmp --channels 0
wrong vmferry migrate a local --disk-dir /tmp --channels 99
wrong vmferry migrate a local --disk-dir /tmp --codec best
wrong vmferry migrate a local --disk-dir /tmp --ram-mode magic
wrong vmferry migrate a local --disk-dir /tmp --on-stall panic
wrong vmferry migrate a local --disk-dir /tmp --no-such-option
wrong vmferry migrate a local /tmp --disk-dir # --disk-dir has no value, and does not take the name of the guest
grep -q 'requires an argument' "$DIR/err" || fail "an option has the guest's name for its value: $(<"$DIR/err")"
wrong vmferry migrate a local --disk-dir $'/tmp/\xfc'
mkdir "$DIR/"$'\xfc'
cd "$DIR/"$'\xfc'
wrong vmferry check a local --disk-dir new
cd - >/dev/null
wrong vmferry cancel
wrong vmferry switch
wrong vmferry set a
wrong vmferry set a colour=blue
wrong vmferry set a bwlimit=x
wrong vmferry recover --frobnicate
wrong vmferry recover a b
wrong vmferry recover --peer-is-fenced
wrong vmferry status a b
wrong vmferry journal a b
wrong vmferry report
wrong vmferry report a -o ""
wrong vmferry report a --frobnicate
wrong vmferry-dst
wrong vmferry-dst --listen
wrong vmferry-dst --listen 127.0.0.1:0 more
wrong vmferry-dst --frobnicate
[[ -z $(ls -A "$VMFERRY_STATE_DIR" "$VMFERRY_RUNTIME_DIR" | grep -v '^/\|^$') ]] || fail "something was touched"
