#!/bin/bash
# A libvirt guest goes to another host as it runs, and back: memory and disks verified from inside, one libvirt has it at any time, with its definition,
# autostart and disks as they were, and nothing of the move is left at either.
# takes: 20
# tier: gate
export TINY=yes MACHINE=pc MEM=128 WITNESS="ram_mb=32 rate=1000 disks=vda disk_mb=8 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

export LIBVIRT_QEMU_USER=libvirt-qemu
shop=shop-$$
libvirt_host a
libvirt_host b
at_a=$(libvirt_at a "$LIBVIRT_GUESTS")
"$QEMU_IMG" create -q -f qcow2 "$at_a/shop.qcow2" 16M
head -c 8M /dev/urandom >"$at_a/data.raw"
libvirt_define a $shop "$LIBVIRT_GUESTS/shop.qcow2:qcow2" "$LIBVIRT_GUESTS/data.raw:raw"
libvirt_in a virsh -q autostart $shop >/dev/null
libvirt_in a virsh dumpxml --inactive $shop >"$DIR/before.xml"
libvirt_run a $shop
listen_at a
listen_at b

# A pidfile that another user could have written says nothing; one that QEMU's own user could is libvirt's of 11.3, of all hosts here at this one.
pidfiles=$(libvirt_at a /run/libvirt/qemu)
pidfile_is_not_believed() {
	vmferry_at a list >"$DIR/list"
	grep -qE "^$shop .* by hand +no\$" "$DIR/list" || fail "a pidfile is believed in $(stat -c '%U %A' "$pidfiles"): $(cat "$DIR/list")"
	! vmferry_at a check $shop "${ADDRESS_AT[b]}" >"$DIR/check" 2>&1 || fail "it is checked as if its process were known: $(cat "$DIR/check")"
}
chown nobody "$pidfiles"
pidfile_is_not_believed
chown 64055:64055 "$pidfiles"
chmod g+w "$pidfiles"
pidfile_is_not_believed
chmod g-w "$pidfiles"

vmferry_at a list >"$DIR/list"
grep -qE "^$shop .* libvirt +yes\$" "$DIR/list" || fail "it is not listed: $(cat "$DIR/list")"
vmferry_at a check $shop "${ADDRESS_AT[b]}" >"$DIR/check" || fail "check: $(cat "$DIR/check")"

# One whose QEMU is stopped, as a move leaves it until that is settled: libvirt is not asked, and nothing else says what it has.
pid=$(<"$pidfiles/$shop.pid")
kill -STOP "$pid"
wait_for 60 grep -q '^State:.*(stopped)' "/proc/$pid/status"
vmferry_at a list >"$DIR/list"
vmferry_at a list --json $shop >"$DIR/list.json"
kill -CONT "$pid"
grep -qE "^$shop +$pid +[?] +[?] +[?] +[?] +libvirt +no\$" "$DIR/list" || fail "what is said of a stopped one: $(<"$DIR/list")"
python3 -S -c 'import json, sys; g = json.load(open(sys.argv[1]))["guests"][0]
if "ram_bytes" in g or len(g["reasons"]) != 1 or "is stopped (SIGSTOP)" not in g["reasons"][0]["text"]: sys.exit(str(g))' "$DIR/list.json" || fail "what JSON says of it"

arrived() { # HOST OTHER
	assert_is_at "$1" "$2" $shop
	assert_eq "$(libvirt_in "$1" virsh -q domstate $shop)" running "the guest's state"
	libvirt_in "$1" virsh dominfo $shop | grep -E '^(Autostart|Persistent):' | tr -s ' ' | xargs >"$DIR/dominfo"
	assert_eq "$(<"$DIR/dominfo")" "Persistent: yes Autostart: enable" "what libvirt has of it"
	libvirt_in "$1" virsh dumpxml --inactive $shop | diff "$DIR/before.xml" - || fail "its definition has changed"
	assert_eq "$(find "$(libvirt_at "$1" /run/libvirt)" "$(libvirt_at "$2" /run/libvirt)" "$(libvirt_at "$2" /etc/libvirt)" -name '*vmferry*')" "" "left behind"
	guest_adopt $shop "$(<"$(libvirt_at "$1" "/run/libvirt/qemu/$shop.pid")")"
	assert_eq "$(stat -c %u "/proc/${GUEST_PID[$shop]}")" 64055 "the user of its QEMU"
	GUEST_AT[$shop]=$(libvirt_at "$1" "$LIBVIRT_GUESTS")
	guest_verify "$(orders $shop)"
	assert_nothing_unfinished
}

libvirt_move a b $shop 0
assert_result '"take_over" in r["downtime_ms"]'
arrived b a
cmp "$at_a/data.raw" "$(libvirt_at b "$LIBVIRT_GUESTS")/data.raw"
libvirt_move b a $shop 0 --reuse auto --how quick
arrived a b
