#!/bin/bash
# A guest is shut down at the end of its move to a host that has nothing of ours, and boots there; where its QEMU
# cannot be started there it is not shut down at all.
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
WITNESS="ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20 button=1" ssh_guest a -netdev user,id=n,hostfwd=tcp:127.0.0.1:7777-:7 -device e1000,netdev=n
remember

on_b bash -c 'exec python3 -c "import socket, time; s = socket.socket(); s.bind((\"127.0.0.1\", 7777)); s.listen(); time.sleep(100)"' &
taken=$!
kill_at_exit "$taken"
wait_for 60 eval 'on_b ss -Hlnt | grep -q 127.0.0.1:7777' || fail "the port is not taken"
ssh_move_start a root@host-b --how warm
move_wait 3 # seen by the plan, which tries that port
assert_result '"7777" in r["reason"] and not any("told to shut down" in n for n in notices)'
kill $(find_on_b 'time.sleep.100')
wait_for 60 process_is_gone "$taken" || fail "the port is still taken"
assert_as_remembered
assert_eq "$(grep -ac '^witness ready' "$VM/a.console")" 1 "boots"

ssh_move a root@host-b --how warm
assert_result 'r["how"] == "warm" and r["verified"] and r["transport"].startswith("TLS") and r["shutdown_ms"] > 0'
wait_for 60 grep -aq '^witness ready' "$(there "$VM/a.console")" || fail "it does not boot there"
assert_arrived
[[ -x $(there "$VM/a.sh") ]] || fail "nothing starts it again there"
