#!/bin/bash
# The destination's QEMU gives a CPU without features that the guest has found: what runs cannot go there, and what boots there can.
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/qemu-copy.sh"

head -c 8M /dev/urandom >"$DIR/a.raw"
QEMU=$DIR/run-qemu MEM=64 WITNESS="ram_mb=8 rate=100 disks=vda disk_rate=20 button=1" tiny_start a -cpu max,vendor=GenuineIntel \
	$(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)
SETTINGS=$(settings_of a)
replace_copy <<-'END'
	case " $* " in *" -cpu "*) set -- "$@" -cpu max,vendor=AuthenticAMD,-sse4.1,-popcnt ;; esac
	exec "$0.real" "$@"
END

move_start a local
move_wait 3
assert_result '"AuthenticAMD" in r["reason"] and any("--how warm" in n for n in notices)'
# Somebody else migrates it just now: then it is not to be shut down.
qmp "$(free_monitor a)" '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 100000}}' >/dev/null
qmp "$(free_monitor a)" '{"execute": "migrate", "arguments": {"uri": "exec:cat >/dev/null"}}' >/dev/null
move_start a local --how warm
move_wait 3
assert_result '"a migration of this guest is under way already" in r["reason"]'
qmp "$(free_monitor a)" '{"execute": "migrate_cancel"}' >/dev/null
qmp "$(free_monitor a)" '{"execute": "migrate-set-parameters", "arguments": {"max-bandwidth": 134217728}}' >/dev/null
wait_for 60 eval 'qmp "$(free_monitor a)" "{\"execute\": \"query-migrate\"}" | grep -q cancelled' || fail "it is not cancelled"
move a local --how warm
wait_for 60 grep -aq '^witness ready' "$TO/a.console" || fail "it does not boot there"
assert_moved
