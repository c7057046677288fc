#!/bin/bash
# The whole table of lies (tests/lib/lies.py): every field of every message, and every message left out, twice or at another time. N: only so many
# of them, spread over all.
# timeout: 14400
. "$(dirname "$0")/../lib/lies.sh"

lies "." ${N:+sample:$N}
cp "$DIR/lies" "$TOP/build/test-logs/lies" 2>/dev/null || true
