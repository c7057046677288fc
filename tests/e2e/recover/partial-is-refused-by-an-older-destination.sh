#!/bin/bash
# A vmferry-dst that does not know of --keep-partial would remove what has arrived: that is said before anything is touched.
. "$(dirname "$0")/../../lib/cold.sh"

guest_at_rest
(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$VMFERRY_STATE_DIR/token")
listener greedy.py backing "$(<"$VMFERRY_STATE_DIR/token")" '{"how": "cold"}'
cold_start "$DIR/src" "$LISTENER_ADDRESS" --keep-partial 1h
cold_wait 3
result 'r["reason"]' | grep -q "would not keep what has arrived" || fail "$(result 'r["reason"]')"
assert_untouched
