#!/bin/bash
# Somebody makes a snapshot of a guest at the destination while it can be had back, so that it writes to another image than its script names: once it stays, the
# result says so, as by the script the guest would go on as it was before that.
# takes: 5
. "$(dirname "$0")/../../lib/aftermath.sh"

guest_a
moved_for_now listener
qmp "$TO/a.mon" '{"execute": "blockdev-snapshot-sync", "arguments": {"device": "d0", "snapshot-file": "'"$TO/over.qcow2"'"}}' >/dev/null
vmferry keep --no-wait a
move_wait
assert_result '"writes to '"$TO"'/over.qcow2 and no longer to '"$TO"'/a.raw" in r["after_reboot"]' "what is said of its script"
GUEST_AT[a]=$TO
guest_verify "$(orders a)" blocks
guest_stop a
[[ -e $TO/a.sh ]] || fail "there is no script"
