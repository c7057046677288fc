#!/bin/bash
# A vmferry-dst that does not know of guests that are shut down ignores that word of DESCRIBE, and would take any for one that runs. One that does not
# know of disks that are left behind would copy them.
. "$(dirname "$0")/../../lib/cold.sh"

guest_at_rest
(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$VMFERRY_STATE_DIR/token")
listener greedy.py backing "$(<"$VMFERRY_STATE_DIR/token")"
cold_start "$DIR/src" "$LISTENER_ADDRESS"
cold_wait 3
result 'r["reason"]' | grep -q "plans to move the guest live, and not cold: it is an older one" || fail "$(result 'r["reason"]')"
assert_untouched

listener greedy.py backing "$(<"$VMFERRY_STATE_DIR/token")" '{"how": "cold", "disks": [{"object": 3, "path": "/x"}]}'
cold_start "$DIR/src" "$LISTENER_ADDRESS" --disk raw=empty
cold_wait 3
result 'r["reason"]' | grep -q "is older, and would not leave disk .*/src/raw behind" || fail "$(result 'r["reason"]')"
assert_untouched
