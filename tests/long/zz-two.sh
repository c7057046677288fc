#!/bin/bash
# Two Debian hosts with systemd, and libvirt as its packages set it up, where QEMU and swtpm run as users of their own: a guest of virt-install with UEFI, a TPM, a snapshot, a
# network and autostart goes from one to the other, and back, shut down and as it runs, by the commands of docs/libvirt.md over SSH. Everything is there as it was.
#   tests/long/two-libvirt-hosts.sh [RELEASE[:RELEASE]]...     of both hosts, or of each; without one: trixie bookworm bookworm:trixie trixie:bookworm
# timeout: 7200
#
# Needs root, debootstrap and systemd-nspawn. The system lies under build/two-hosts while it runs (1.5 GB; with KEEP=1 it stays, for the next time); the
# kernel is this machine's, as are vmferry's programs.
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib/fresh-debian.sh
. tests/lib/move.sh

if [[ $# -ne 1 ]]; then
	[[ $# -gt 0 ]] || set -- trixie bookworm bookworm:trixie trixie:bookworm
	worst=0
	for pair in "$@"; do
		status=0
		KEEP=1 "$0" "$pair" || status=$?
		[[ $status -eq 0 || $worst -eq 1 ]] || worst=$((status == 77 ? 77 : 1))
	done
	fresh_remove "$TOP/build/two-hosts"
	exit "$worst"
fi
declare -A RELEASE=([host-a]=${1%:*} [host-b]=${1#*:})
packages=systemd,systemd-sysv,dbus,ca-certificates,openssh-server,openssh-client,iproute2
libraries="libjansson4 liburing2 libxxhash0 libssh2-1 libxml2" # vmferry's own; of some apt knows the present name
declare -A LEADER=() # NAME: the pid of its first process
command -v systemd-nspawn >/dev/null || skip "systemd-nspawn is not installed (systemd-container)"

make_base() { # RELEASE
	local release=$1 base=$TOP/build/two-hosts/$1 log=$logs/two-hosts-$1.log
	[[ ! -e $base/etc/fresh ]] || return 0
	echo "$release: debootstrap"
	rm -rf --one-file-system "$base"
	mkdir -p "$base"
	debootstrap --variant=minbase --include=$packages "$release" "$base" "$(mirror)" >"$log" 2>&1 || skip "debootstrap could not install $release here"
	apt-config dump | grep -E '^Acquire::https?::' >"$base/etc/apt/apt.conf.d/90machine" || true
	cp -L /etc/resolv.conf "$base/etc/"
	DEBIAN_FRONTEND=noninteractive systemd-nspawn -q --register=no --keep-unit -D "$base" --pipe bash -ec "apt-get -q update
		apt-get -q -y install $libraries libvirt-daemon-system virtinst qemu-system-x86 ovmf swtpm swtpm-tools dnsmasq-base" </dev/null >>"$log" 2>&1 ||
		{ tail -n 5 "$log"; skip "libvirt could not be installed in $release"; }
	touch "$base/etc/fresh"
}

in_host() { # NAME COMMAND
	nsenter -t "${LEADER[$1]}" -a env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 bash -c "cd; $2"
}

at_host() { # NAME PATH
	echo "/proc/${LEADER[$1]}/root$2"
}

is_up() { # NAME NSPAWN: which makes processes of its own before the first of the machine
	LEADER[$1]=$(pgrep -P "$2" | tail -n 1)
	[[ -n ${LEADER[$1]} && $(in_host "$1" 'systemctl is-system-running' 2>/dev/null) =~ ^(running|degraded)$ ]] && in_host "$1" 'virsh -q list' >/dev/null 2>&1
}

boot() { # NAME
	local root=$DIR/$1 nspawn
	mkdir -p "$root" "$DIR/$1-upper" "$DIR/$1-work" "$DIR/$1-disk" "$DIR/$1-vm"
	if ! mountpoint -q "$DIR/$1-disk"; then
		truncate -s 400M "$DIR/$1.img"
		mkfs.ext4 -q "$DIR/$1.img"
		mount -o loop "$DIR/$1.img" "$DIR/$1-disk"
	fi
	mountpoint -q "$root" || mount -t overlay -o "lowerdir=$TOP/build/two-hosts/${RELEASE[$1]},upperdir=$DIR/$1-upper,workdir=$DIR/$1-work" overlay "$root"
	[[ -e $root/usr/bin/vmferry ]] || make -s install DESTDIR="$root" PREFIX=/usr >/dev/null 2>&1
	sed -i '/pam_systemd/d' "$root/etc/pam.d/common-session" # which waits for minutes in a machine that has no cgroups of its own
	[[ -s $root/etc/machine-id ]] || : >"$root/etc/machine-id"
	echo "$1" >"$root/etc/hostname"
	printf '127.0.0.1 localhost\n10.77.0.1 host-a\n10.77.0.2 host-b\n' >"$root/etc/hosts"
	SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 SYSTEMD_NSPAWN_TMPFS_TMP=0 systemd-nspawn -q --register=no --keep-unit -M "$1" -D "$root" \
		--network-namespace-path="/run/netns/vmferry-$$-$1" --capability=all --bind=/dev/net/tun --bind="$DIR/$1-disk:/srv/replica" --bind="$DIR/$1-vm:/srv/vm" --system-call-filter=@known -b </dev/null >"$DIR/$1.console" 2>&1 &
	nspawn=$!
	kill_at_exit "$nspawn"
	wait_for 600 is_up "$1" "$nspawn" || fail "$1 does not boot: $(tail -n 5 "$DIR/$1.console")"
	in_host "$1" 'mount -o remount,bind,rw /proc/sys && virsh -q net-start default && virsh -q net-autostart default' >/dev/null
	echo "LEADER[$1]=${LEADER[$1]} NSPAWN[$1]=$nspawn" >>/tmp/zz/env
	in_host "$1" 'test -e .ssh/id_ed25519' || in_host "$1" 'ssh-keygen -q -t ed25519 -N "" -f .ssh/id_ed25519' || fail "no key at $1"
}

leave() { # the machines have ended by then
	local name
	for name in host-a host-b; do
		umount -R "$DIR/$name-disk" 2>/dev/null || true
		umount -R "$DIR/$name" 2>/dev/null || true
		ip netns del "vmferry-$$-$name" 2>/dev/null || true
	done
	fresh_remove "$TOP/build/two-hosts"
}
EXIT_COMMANDS+=(leave)

link_hosts() {
	local name
	for name in host-a host-b; do
		ip netns add "vmferry-$$-$name"
		ip -n "vmferry-$$-$name" link set lo up
	done
	ip link add e0 netns "vmferry-$$-host-a" type veth peer name e0 netns "vmferry-$$-host-b"
	ip -n "vmferry-$$-host-a" addr add 10.77.0.1/24 dev e0
	ip -n "vmferry-$$-host-b" addr add 10.77.0.2/24 dev e0
	for name in host-a host-b; do ip -n "vmferry-$$-$name" link set e0 up; done
}

let_in() { # FROM TO
	in_host "$1" 'cat .ssh/id_ed25519.pub' | in_host "$2" 'mkdir -p -m 700 .ssh && cat >>.ssh/authorized_keys'
	in_host "$1" "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new root@$2 true" 2>/dev/null || fail "no login from $1 to $2"
}

facts() { # HOST: what libvirt has of the guest, and its files; two libvirts do not write one definition alike
	[[ ${RELEASE[host-a]} != "${RELEASE[host-b]}" ]] || in_host "$1" 'virsh dumpxml --security-info --inactive web'
	in_host "$1" 'virsh dominfo web | grep -E "Autostart:|Persistent|UUID"; virsh -q snapshot-list web --tree; virsh -q domiflist web --inactive
		virsh -q domblklist web --inactive; stat -c "%a %U %n" /var/lib/libvirt/swtpm /var/lib/libvirt/swtpm/*-????????????'
}

is_as_before() { # HOST WORDS: an older libvirt is given a definition without what it does not know
	[[ $OLDER == yes ]] || facts "$1" | diff "$DIR/before" - || fail "$2"
}

is_at() { # HOST OTHER
	assert_eq "$(in_host "$1" 'virsh -q list --all --name' | xargs)/$(in_host "$2" 'virsh -q list --all --name' | xargs)" "web/" "guests of libvirt at $1 and $2"
}

goes() { # FROM TO [OPTION...]
	in_host "$1" "vmferry migrate web root@$2 -v ${*:3}" >"$DIR/move.out" 2>&1 || fail "from $1 to $2 ${*:3}: $(<"$DIR/move.out")"
	grep -E '^(migrated|  (total|downtime|  ))|stand still for' "$DIR/move.out"
	! grep -q 'could not be done' "$DIR/move.out" || fail "$(<"$DIR/move.out")"
	is_at "$2" "$1"
}

has_booted() { # HOST
	grep -aq 'witness ready' "$(at_host "$1" /var/lib/libvirt/qemu/web.console)"
}

lives_at() { # HOST
	wait_for 120 in_host "$1" 'virsh -q domstate web | grep -q running' || fail "it does not run at $1"
	guest_verify "$(at_host "$1" /var/lib/libvirt/qemu/web.orders)" blocks
}

boots_at() { # HOST
	wait_for 240 has_booted "$1" || fail "it does not boot at $1: $(tail -n 3 "$(at_host "$1" /var/lib/libvirt/qemu/web.console)")"
	lives_at "$1"
}

for host in host-a host-b; do make_base "${RELEASE[$host]}"; done
link_hosts
boot host-a
boot host-b
let_in host-a host-b
let_in host-b host-a


echo "DIR=$DIR TOP=$TOP QEMU_IMG=$QEMU_IMG" >>/tmp/zz/env
declare -f in_host boot is_up at_host wait_for >/dev/null
touch /tmp/zz/ready
while [[ ! -e /tmp/zz/stop ]]; do
	if [[ -e /tmp/zz/boot ]]; then
		name=$(</tmp/zz/boot)
		boot "$name"
		rm /tmp/zz/boot
	fi
	sleep 0.3
done
