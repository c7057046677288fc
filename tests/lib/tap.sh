# shellcheck shell=bash
# For guests with a NIC on a tap by its name; to be sourced. Runs the test anew in a network namespace of its own, with a bridge in it. Everything of
# aftermath.sh.
#
#   guest_on TAP [OPTION...]     a guest `a` whose NIC is on it: QEMU makes it unless it is there
#   make_tap TAP                 one that stays, in the bridge
#   assert_network TAP           the guest is on it and can be reached, and its heartbeat arrives
if [[ -z ${VMFERRY_IN_NETWORK:-} ]]; then
	. "$(dirname "${BASH_SOURCE[0]}")/base.sh"
	[[ -w /dev/net/tun && $EUID == 0 ]] || skip "no tap devices here: /dev/net/tun, root"
	VMFERRY_IN_NETWORK=1 exec unshare --net --mount bash "$0" "$@"
fi
mount -t sysfs sysfs /sys # sysfs shows the interfaces of the process that mounts it
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"

GUEST_ADDRESS=10.79.0.2
ip link set lo up
ip link add br0 type bridge
ip addr add 10.79.0.1/24 dev br0
ip link set br0 up

into_bridge() { # TAP
	ip link set "$1" master br0 up
}

a_stranger_has() { # TAP: another one of that name, in a network of its own
	unshare --net "$TOP/tests/lib/tap-of-its-own.py" "$1" </dev/null >"$DIR/stranger.out" &
	kill_at_exit $!
	wait_for 60 test -s "$DIR/stranger.out" || fail "there is no second $1"
}

make_tap() { # TAP
	ip tuntap add "$1" mode tap vnet_hdr
	into_bridge "$1"
}

guest_on() { # TAP [OPTION OF ITS BACK END]... [-OPTION OF QEMU...]
	local backend="tap,id=n0,ifname=$1"
	a_stranger_has "$1" # before the guest, and so found first
	shift
	while [[ ${1:-} == [a-z]* ]]; do backend+=,$1 && shift; done
	head -c 8M /dev/urandom >"$DIR/a.raw"
	MEM=256 WITNESS="ram_mb=16 rate=500 disks=vda disk_mb=4 disk_rate=20 net=$GUEST_ADDRESS/24 hb_udp=10.79.0.1:7777" guest_start a \
		$(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a) -netdev "$backend" \
		-device virtio-net-pci,netdev=n0,id=nic0,mac=52:54:00:00:00:08 "$@"
	SETTINGS=$(settings_of a)
}

on_tap() { # PID: prints the names of the taps that it has
	sed -n 's/^iff:[[:space:]]*//p' "/proc/$1/fdinfo/"* 2>/dev/null
}

index_of() { # TAP
	cat "/sys/class/net/$1/ifindex"
}

is_persistent() { # TAP
	(($(<"/sys/class/net/$1/tun_flags") & 0x800))
}

is_heard() {
	[[ $(python3 -S "$TOP/tests/lib/heartbeat.py" udp:10.79.0.1:7777 0.3) =~ beats=[1-9] ]]
}

assert_network() { # TAP [WHEN]
	assert_eq "$(on_tap "${GUEST_PID[a]}")" "$1" "${2:+$2: }the guest's tap"
	[[ -e /sys/class/net/br0/lower_$1 ]] || fail "${2:+$2: }$1 is not in the bridge any more"
	python3 -S "$TOP/tests/lib/echo.py" "$GUEST_ADDRESS" || fail "${2:+$2: }the guest cannot be reached"
	wait_for 60 is_heard || fail "${2:+$2: }nothing comes from the guest"
	[[ -z $(ls /sys/class/net | grep '^vmft') ]] || fail "${2:+$2: }a tap that stood in is left: $(ls /sys/class/net)"
}
