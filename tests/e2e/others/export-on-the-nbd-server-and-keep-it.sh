#!/bin/bash
# A backup tool finds QEMU's NBD server running, which the move has started, and exports something on it. When the move is cancelled the server is not
# stopped under it: it is listed, and `vmferry recover` stops it when the tool is done.
. "$(dirname "$0")/../../lib/aftermath.sh"

ask() { # COMMAND-JSON
	qmp "$(free_monitor a)" "$1" >/dev/null || fail "QEMU refuses $1"
}

guest_a
ask '{"execute": "nbd-server-start", "arguments": {"addr": {"type": "unix", "data": {"path": "'"$DIR/idle"'"}}}}' # a server without exports cannot be seen
to_local
move_start a local
move_wait 1
assert_result "'has started the NBD server' in r['reason'] and 'nbd-server-stop' in r['reason']"
ask '{"execute": "nbd-server-stop"}'
move_until local disks
ask '{"execute": "blockdev-add", "arguments": {"driver": "null-co", "node-name": "theirs", "size": 1048576}}'
ask '{"execute": "block-export-add", "arguments": {"type": "nbd", "id": "backup", "node-name": "theirs"}}'
vmferry cancel --no-wait "${GUEST_PID[a]}" >/dev/null
move_wait 4
assert_result 'any("backup" in x and "NBD server" in x for x in r["leftovers"])'
exports=$(qmp "$(free_monitor a)" '{"execute": "query-block-exports"}')
[[ $exports == *'"backup"'* && $exports != *vmferry-* ]] || fail "QEMU's exports are $exports"
guest_verify "$(orders a)" blocks
recover 4
ask '{"execute": "block-export-del", "arguments": {"id": "backup"}}'
ask '{"execute": "blockdev-del", "arguments": {"node-name": "theirs"}}'
recover 1
assert_at_source
