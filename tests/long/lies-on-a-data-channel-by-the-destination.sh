#!/bin/bash
# The table of lies (tests/lib/lies.py), what the destination says on a data channel: every field of every message, and every message
# left out, twice or at another time. N: only so many of them, spread over all.
# timeout: 14400
. "$(dirname "$0")/../lib/lies.sh"

lies_of "data down"
