#!/bin/bash
# A guest of a user's own libvirt (qemu:///session) goes as it runs to the same user's at another host, and back, without root at either end: memory and disks verified
# from inside, one libvirt has it at any time, with its definition and autostart. A move that fails leaves it as it was. It goes shut down, too.
# takes: 30
export TINY=yes MACHINE=pc MEM=64 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

export LIBVIRT_QEMU_USER=libvirt-qemu
web=web-$$
G=$LIBVIRT_GUESTS
libvirt_host a
libvirt_host b
at_a=$(libvirt_at a "$G")
"$QEMU_IMG" create -q -f qcow2 "$at_a/web.qcow2" 8M
head -c 2M /dev/urandom >"$at_a/data.raw"
chown 64055:64055 "$at_a"/*
for host in a b; do host_state $host >/dev/null; done
chown -R 64055:64055 "$DIR"/state-* "$DIR"/run-*
libvirt_become_user a b
libvirt_define a $web "$G/web.qcow2:qcow2" "$G/data.raw:raw"
libvirt_in a virsh -q autostart $web >/dev/null
libvirt_in a virsh dumpxml --inactive $web >"$DIR/before.xml"
libvirt_run a $web
assert_eq "$(stat -c %u "/proc/${GUEST_PID[$web]}")" 64055 "the user of its QEMU"
listen_at a
listen_at b

is_gone() { # HOST
	[[ -z $(defined_at "$1") ]]
}

runs_at() { # HOST OTHER
	local file
	wait_for 10 is_gone "$2" || true # libvirt forgets it a moment after its QEMU has ended
	assert_is_at "$1" "$2" $web
	assert_eq "$(libvirt_in "$1" virsh -q domstate $web)" running "the guest's state"
	libvirt_in "$1" virsh dumpxml --inactive $web | diff "$DIR/before.xml" - || fail "its definition has changed"
	libvirt_in "$1" virsh dominfo $web | grep -E '^(Autostart|Persistent):' | tr -s ' ' | xargs >"$DIR/dominfo"
	assert_eq "$(<"$DIR/dominfo")" "Persistent: yes Autostart: enable" "what libvirt has of it"
	file=/run/user/64055/home/.config/libvirt/qemu/$web.xml
	[[ -e $(libvirt_at "$1" "$file") && ! -e $(libvirt_at "$2" "$file") ]] || fail "its definition is in no file of libvirt's at $1, or at $2"
	assert_eq "$(find "$(libvirt_at a /run/user)" "$(libvirt_at b /run/user)" -name '*vmferry*')" "" "left behind"
	guest_adopt $web "$(<"$(libvirt_at "$1" "$LIBVIRT_PIDFILES/$web.pid")")"
	GUEST_AT[$web]=$(libvirt_at "$1" "$G")
	guest_verify "$(orders $web)"
	assert_nothing_unfinished
}

# There it would end with the user's last login.
at_b=$(libvirt_at b /)
mkdir -p "$at_b/run/systemd/users" "$at_b/var/lib/systemd/linger"
echo NAME=libvirt-qemu >"$at_b/run/systemd/users/64055"
libvirt_move a b $web 3
result 'r["reason"]' | says 'loginctl enable-linger libvirt-qemu' || fail "it is said: $(result 'r["reason"]')"
touch "$at_b/var/lib/systemd/linger/libvirt-qemu"

vmferry_at a check $web "${ADDRESS_AT[b]}" >"$DIR/check" 2>&1 || fail "check: $(<"$DIR/check")"
VMFERRY_FAULT=dst-libvirt-held:kill:$DIR/run-b/died listen_at b
libvirt_move a b $web 1
[[ -s $DIR/run-b/died ]] || fail "the destination did not die"
runs_at a b
listen_at b
libvirt_move a b $web 0
assert_result 'r["ram"]["mode"] == "pages"'
runs_at b a
libvirt_move b a $web 0 --reuse auto --how quick
runs_at a b
vmferry_at a check $web "${ADDRESS_AT[b]}" --how cold --reuse auto >"$DIR/check" 2>&1 || fail "check of a cold move: $(<"$DIR/check")"
libvirt_in a virsh -q destroy $web
libvirt_move a b $web 0 --how cold --reuse auto --start
assert_is_at b a $web
cmp "$at_a/data.raw" "$(libvirt_at b "$G")/data.raw"

# A user's libvirt ends by itself once none of its guests runs.
libvirt_in b virsh -q destroy $web
libvirt_stop b
! vmferry_at b check $web "${ADDRESS_AT[a]}" --how cold >"$DIR/check" 2>&1 || fail "it is found though libvirt does not run"
says 'libvirt has a guest of that name, and does not run: start it (virsh -c qemu:///session list)' <"$DIR/check" || fail "the way is not said: $(<"$DIR/check")"
