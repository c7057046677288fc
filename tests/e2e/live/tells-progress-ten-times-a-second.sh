#!/bin/bash
# --json tells the progress once a second, --json=fine ten times; each event says whether it is one of those.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
move a local --bwlimit 16M --codec none --dedup off
assert_result 'len([e for e in events if e["event"] == "progress"]) > 1 and all(e["second"] for e in events if e["event"] == "progress")'
assert_moved "$DIR/a.raw"
move a local --bwlimit 16M --codec none --dedup off --json=fine
assert_result 'len([e for e in events if e["event"] == "progress" and not e["second"]]) > 4 * len([e for e in events if e["event"] == "progress" and e["second"]]) > 4'
assert_moved "$DIR/d1/a.raw"
# However late each came.
result '[e["t_ms"] for e in events if e["event"] == "progress"]' >"$DIR/times"
python3 -S -c 'import json, sys; t = json.load(sys.stdin); sys.exit(not 1 < len(t) - 1 <= (t[-2] - t[0]) / 100 + 3)' <"$DIR/times" ||
	fail "too often: $(<"$DIR/times")"
