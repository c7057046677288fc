#!/bin/bash
# A libvirt guest goes from a host with libvirtd to one that has virtqemud alone, a daemon of QEMU's guests without those of networks, pools and secrets, and back:
# as it runs, and shut down. It is listed and checked there as anywhere.
export TINY=yes MACHINE=pc MEM=128 WITNESS="ram_mb=32 rate=1000 disks=vda disk_mb=8 disk_rate=50"
. "$(dirname "$0")/../../lib/libvirt-move.sh"

export LIBVIRT_QEMU_USER=libvirt-qemu LIBVIRT_MODULAR=b
shop=shop-$$
libvirt_host a
libvirt_host b
[[ ! -e $(libvirt_at b /run/libvirt/libvirt-sock) ]] || fail "there is a libvirtd at b"
at_a=$(libvirt_at a "$LIBVIRT_GUESTS")
"$QEMU_IMG" create -q -f qcow2 "$at_a/shop.qcow2" 16M
head -c 8M /dev/urandom >"$at_a/data.raw"
libvirt_define a $shop "$LIBVIRT_GUESTS/shop.qcow2:qcow2" "$LIBVIRT_GUESTS/data.raw:raw"
libvirt_in a virsh -q autostart $shop >/dev/null
libvirt_run a $shop
listen_at a
listen_at b

runs_at() { # HOST OTHER
	assert_is_at "$1" "$2" $shop
	assert_eq "$(libvirt_in "$1" virsh -q domstate $shop)" running "the guest's state"
	guest_adopt $shop "$(<"$(libvirt_at "$1" "/run/libvirt/qemu/$shop.pid")")"
	GUEST_AT[$shop]=$(libvirt_at "$1" "$LIBVIRT_GUESTS")
	guest_verify "$(orders $shop)"
	vmferry_at "$1" list >"$DIR/list"
	grep -qE "^$shop .* libvirt +yes\$" "$DIR/list" || fail "it is not listed at $1: $(cat "$DIR/list")"
	assert_nothing_unfinished
}

runs_at a b
libvirt_move a b $shop 0
runs_at b a
vmferry_at b check $shop "${ADDRESS_AT[a]}" --reuse auto >"$DIR/check" || fail "check: $(cat "$DIR/check")"
libvirt_move b a $shop 0 --reuse auto
runs_at a b

libvirt_in a virsh -q destroy $shop >/dev/null
libvirt_move a b $shop 0 --how cold --reuse auto
assert_is_at b a $shop
cmp "$at_a/data.raw" "$(libvirt_at b "$LIBVIRT_GUESTS")/data.raw"
libvirt_in b virsh dominfo $shop | says -E '^Autostart: +enable' || fail "it does not start when that host boots"
libvirt_move b a $shop 0 --how cold --reuse auto --start
assert_is_at a b $shop
assert_eq "$(libvirt_in a virsh -q domstate $shop)" running "the guest's state"
