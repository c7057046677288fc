#!/bin/bash
# A libvirt guest that is held (--hold, --at) runs on here until it is told to switch, or its time has come; what was written meanwhile comes along. One that is
# cancelled while it is held is libvirt's as it was.
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

web=web-$$
libvirt_host a
libvirt_host b
"$QEMU_IMG" create -q -f qcow2 "$(libvirt_at a "$LIBVIRT_GUESTS")/web.qcow2" 8M
libvirt_define a $web "$LIBVIRT_GUESTS/web.qcow2:qcow2"
libvirt_in a virsh dumpxml --inactive $web >"$DIR/before.xml"
libvirt_run a $web
listen_at a
listen_at b

is_past() { [[ $(date +%s) -ge $at ]]; }

runs_at() { # HOST OTHER
	assert_is_at "$1" "$2" $web
	assert_eq "$(libvirt_in "$1" virsh -q domstate $web)" running "the guest's state"
	libvirt_in "$1" virsh dumpxml --inactive $web | diff "$DIR/before.xml" - || fail "its definition has changed"
	assert_eq "$(find "$(libvirt_at "$1" /run/libvirt)" "$(libvirt_at "$2" /run/libvirt)" "$(libvirt_at "$1" /etc/libvirt)" -name '*vmferry*')" "" "left behind"
	guest_adopt $web "$(<"$(libvirt_at "$1" "/run/libvirt/qemu/$web.pid")")"
	GUEST_AT[$web]=$(libvirt_at "$1" "$LIBVIRT_GUESTS")
	guest_verify "$(orders $web)"
	assert_nothing_unfinished
}

held() { # WORDS
	wait_event "ev['event'] == 'notice' and '$1' in ev['text']" >/dev/null
	assert_eq "$(libvirt_in "$FROM" virsh -q domstate $web)" running "the guest's state while it is held"
}

FROM=a
libvirt_move_start a b $web --hold
held 'ready to switch over; the guest runs on here'
vmferry_at a cancel --no-wait $web >/dev/null
libvirt_move_wait 1
runs_at a b

libvirt_move_start a b $web --hold
held 'ready to switch over; the guest runs on here'
# it has not arrived: the other host neither offers it, nor does a drain there take it, or tell anybody to end one of the two
vmferry_at b list >"$DIR/list.out" 2>&1
grep -E "^$web +[0-9]+ +arriving .* no\$" "$DIR/list.out" >/dev/null || fail "list at its destination: $(<"$DIR/list.out")"
status=0
vmferry_at b drain --to "${ADDRESS_AT[a]}" >"$DIR/drain.out" 2>&1 || status=$?
assert_eq "$status" 3 "exit code of a drain at its destination ($(<"$DIR/drain.out"))"
grep -q "^$web is arriving here" "$DIR/drain.out" || fail "a drain at its destination: $(<"$DIR/drain.out")"
vmferry_at a switch --no-wait $web >/dev/null
libvirt_move_wait
runs_at b a

FROM=b at=$(($(date +%s) + 8))
libvirt_move_start b a $web --at "@$at" --reuse auto
held 'ready to switch over; the guest runs on here until 2'
libvirt_move_wait
is_past || fail "it went before its time"
runs_at a b

FROM=a at=$(($(date +%s) + 6))
libvirt_move_start a b $web --at "@$at" --how quick --reuse auto
held 'the guest is stopped at 2'
libvirt_move_wait
is_past || fail "it went before its time"
runs_at b a

# The guest shuts down by itself while it is held: libvirt has it here, as it was.
FROM=b
libvirt_move_start b a $web --hold --reuse auto
held 'ready to switch over; the guest runs on here'
guest_order "$(orders $web)" poweroff >/dev/null || true
libvirt_move_wait 8
assert_is_at b a $web
assert_eq "$(libvirt_in b virsh -q domstate $web)" "shut off" "the guest's state"
libvirt_in b virsh dumpxml --inactive $web | diff "$DIR/before.xml" - || fail "its definition has changed"
[[ -e $(libvirt_at b "/etc/libvirt/qemu/$web.xml") ]] || fail "its definition is in no file of libvirt's"
assert_nothing_unfinished
