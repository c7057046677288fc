#!/bin/bash
# Somebody switches off the dirty bitmap by which vmferry knows what the guest writes: the move is rolled back when the guest is stopped, and not
# ended without what was written since.
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
to_local
move_start a local --hold --json=fine
wait_event 'ev["event"] == "progress" and ev["held"]' >/dev/null
recording() { # prints the order that switches off each bitmap that records
	qmp "$(free_monitor a)" '{"execute": "query-block"}' | python3 -S -c '
import json, sys
for drive in json.load(sys.stdin):
    inserted = drive.get("inserted", {})
    for b in inserted.get("dirty-bitmaps", []):
        if b["recording"]:
            print(json.dumps({"execute": "block-dirty-bitmap-disable",
                              "arguments": {"node": inserted["node-name"], "name": b["name"]}}))'
}
# With each round another one records: that it still did when it was switched off shows afterwards.
switch_off() {
	local order
	order=$(recording)
	[[ -n $order ]] && (qmp "$(free_monitor a)" "$order") >/dev/null 2>&1
	[[ -z $(recording) ]]
}
guest_order "$(orders a)" "load disk_rate=2" >/dev/null # slow writes, so that rounds are not made faster than they can be switched off
wait_for 60 switch_off || fail "no bitmap can be switched off: $(recording)"
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null 2>&1 || true # the move may have noticed it by then
move_wait 1
assert_result '"another client switched off the dirty bitmap" in r["reason"]'
assert_at_source
assert_next_move_succeeds
