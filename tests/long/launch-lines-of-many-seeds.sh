#!/bin/bash
# As tests/e2e/launch-lines-move-as-check-says.sh, of many lines: from FIRST (a day's number, so that each run has others, and says which) on, LINES of them.
# timeout: 3600
FIRST=${FIRST:-$(($(date +%s) / 86400 * 100))} LINES=${LINES:-60}
echo "seeds from $FIRST on"
SEEDS=$(seq -s ' ' "$FIRST" $((FIRST + LINES - 1))) exec "$(dirname "$0")/../e2e/launch-lines-move-as-check-says.sh"
