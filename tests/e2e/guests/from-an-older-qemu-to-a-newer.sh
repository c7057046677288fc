#!/bin/bash
# A busy guest of QEMU 7.2, which under TCG loses much of what it writes (its own migration ends it), goes to a host with QEMU 10, and keeps its
# machine type, and all of its memory (recheck.h). The other way a machine type that 7.2 does not have is refused, and one that both have
# is moved, with a note.
# timeout: 400
. "$(dirname "$0")/../../lib/over-ssh.sh"
GUEST_START=guest_start MACHINE= # each QEMU its newest
[[ -x $TOP/build/qemu72/bin/qemu-system-x86_64 ]] || skip "no QEMU 7.2 at build/qemu72: run scripts/install-deps --cross"
[[ -d $TOP/build/qemu/usr ]] || skip "QEMU 10 is the system's here"
hosts_start
there_is() { # QEMU-DIRECTORY-HERE QEMU-DIRECTORY-THERE: under the same name
	on_b mount --bind "$TOP/build/$2" "$TOP/build/$1"
}

there_is qemu72 qemu
WITNESS="ram_mb=64 rate=3000 disks=vda disk_mb=8 disk_rate=50 still_mb=16"
QEMU=$TOP/build/qemu72/bin/qemu-system-x86_64
sed -i "s|\"/[^\"]*/qemu-system-x86_64\"|\"$QEMU\"|" "$DIR/qemu-on-a"
ssh_guest a
assert_eq "$(qmp "$VM/a.mon" '{"execute": "query-version"}' | grep -o '"major": [0-9]*')" '"major": 7' "QEMU here"
ssh_move_start a root@host-b --bwlimit 40M --hold
has_lost_some() { # there were passes enough
	is_moving_with a 's["ram_round"] >= 6' || process_is_gone "$MOVE_PID"
}
wait_for 60 has_lost_some || fail "there are not passes enough for some of it to be lost"
vmferry switch --no-wait "${GUEST_PID[a]}" >/dev/null 2>&1 || true # a QEMU that has lost so much that nothing is left switches over by itself
move_wait
assert_arrived
assert_result 'r["ram"]["missed_pages"] > 0' "QEMU 7.2 has left out some of the guest's memory"
assert_eq "$(qmp "$(free_monitor a)" '{"execute": "query-version"}' | grep -o '"major": [0-9]*')" '"major": 10' "QEMU there"
assert_result 'plan["machine"] == "pc-q35-7.2"'
guest_stop a
rm -rf "${TO:?}"/*
on_b umount "$TOP/build/qemu72"

there_is qemu qemu72
QEMU=$TOP/build/qemu/bin/qemu-system-x86_64
sed -i "s|\"/[^\"]*/qemu-system-x86_64\"|\"$QEMU\"|" "$DIR/qemu-on-a"
ssh_guest a
remember
refused 3 'does not take this guest.*pc-q35-10' root@host-b
guest_stop a
rm -f "$VM"/a.*
MACHINE=pc-q35-7.2 ssh_guest a
ssh_move a root@host-b
assert_result 'any("older than" in f for f in plan["cautions"])'
assert_arrived
