#!/bin/bash
# A transient guest of libvirt's goes as it runs, and is transient there, too: memory and disk verified from inside, libvirt there runs it and defines nothing,
# libvirt here knows it no more. Shut down it is refused, and the way that is named works. One that somebody defines meanwhile stays, as they want it; one
# whose move fails runs on here, transient as before.
# takes: 20
# tier: gate
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

web=web-$$
libvirt_host a
libvirt_host b
G=$LIBVIRT_GUESTS
"$QEMU_IMG" create -q -f qcow2 "$(libvirt_at a "$G")/web.qcow2" 8M
libvirt_create a $web "$G/web.qcow2:qcow2"
listen_at a
listen_at b

is_gone() { # HOST
	[[ -z $(defined_at "$1") ]]
}

runs_transient_at() { # HOST OTHER
	wait_for 10 is_gone "$2" || true # libvirt forgets it a moment after its QEMU has ended
	assert_is_at "$1" "$2" $web
	assert_eq "$(libvirt_in "$1" virsh -q domstate $web)" running "the guest's state"
	libvirt_in "$1" virsh dominfo $web | says 'Persistent: *no' || fail "it is not transient at $1"
	for host in a b; do [[ ! -e $(libvirt_at $host "/etc/libvirt/qemu/$web.xml") ]] || fail "libvirt defines it at $host"; done
	assert_eq "$(find "$(libvirt_at "$1" /run/libvirt)" "$(libvirt_at "$2" /run/libvirt)" -name '*vmferry*')" "" "left behind"
	guest_adopt $web "$(<"$(libvirt_at "$1" "/run/libvirt/qemu/$web.pid")")"
	GUEST_AT[$web]=$(libvirt_at "$1" "$G")
	guest_verify "$(orders $web)"
	assert_nothing_unfinished
}

# Shut down libvirt would forget it: check and migrate say so.
words="guest $web of libvirt is transient, and would be forgotten once it is shut down, here or there: it goes as it runs (without --how cold), or define it first"
for command in check migrate; do
	! vmferry_at a $command $web "${ADDRESS_AT[b]}" --how cold >"$DIR/refused" 2>&1 || fail "$command lets it go cold"
	grep -qF "$words" "$DIR/refused" || fail "$command says: $(<"$DIR/refused")"
done

# The destination fails when libvirt has taken the guest over, and nothing is promised yet.
VMFERRY_FAULT=dst-libvirt-finished:kill:$DIR/died listen_at b
libvirt_move a b $web 1
[[ -s $DIR/died ]] || fail "the destination did not die"
runs_transient_at a b

listen_at b
vmferry_at a check $web "${ADDRESS_AT[b]}" >"$DIR/check" 2>&1 || fail "check: $(<"$DIR/check")"
grep -q 'has the guest, transient as here: it forgets it once it is shut down' "$DIR/check" || fail "check: $(<"$DIR/check")"
libvirt_move a b $web 0
assert_result 'r["transient"] and not r["autostart"] and "definition_left" not in r and "after_error" not in r'
runs_transient_at b a

# Somebody defines it while it is moved.
VMFERRY_FAULT=src-libvirt-begun:stop:$DIR/stopped libvirt_move_start b a $web --reuse auto
wait_for 60 test -s "$DIR/stopped"
wait_for 60 eval '[[ $(sed "s/.*) \(.\).*/\1/" "/proc/$MOVE_PID/stat") == T ]]'
libvirt_in b virsh dumpxml --security-info --inactive $web >"$DIR/its.xml"
libvirt_in b virsh -q define "$DIR/its.xml" >/dev/null
kill -CONT "$MOVE_PID"
libvirt_move_wait 1
result 'r["reason"]' | says 'another client defined the transient guest in libvirt here' || fail "it says: $(result 'r["reason"]')"
assert_is_at b a $web
libvirt_in b virsh dominfo $web | says 'Persistent: *yes' || fail "somebody's definition is lost"
guest_verify "$(orders $web)"

# The way that was named.
vmferry_at b check $web "${ADDRESS_AT[a]}" --how cold --reuse auto >"$DIR/check" 2>&1 || fail "check of the way: $(<"$DIR/check")"
libvirt_in b virsh -q undefine $web >/dev/null
runs_transient_at b a
