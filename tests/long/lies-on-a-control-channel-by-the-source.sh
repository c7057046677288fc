#!/bin/bash
# The table of lies (tests/lib/lies.py), what the source says on a control channel: every field of every message, and every message
# left out, twice or at another time. N: only so many of them, spread over all.
# timeout: 14400
. "$(dirname "$0")/../lib/lies.sh"

lies_of "control up"
