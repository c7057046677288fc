#!/bin/bash
# A guest moves by SSH to a host that is a fresh Debian with QEMU and sshd, and nothing else.
#   tests/long/over-ssh-to-fresh-debian.sh [bookworm|trixie]...      without a name: both, one after the other
# timeout: 1800
#
# Needs root and debootstrap; the mirror is the one that this machine's apt uses. What it installs lies under build/fresh while it
# runs (600 MB each). With KEEP=1 it stays, for the next time. The kernel is this machine's.
[[ $EUID -eq 0 ]] || { echo "skip: root is needed to make a chroot"; exit 77; }
command -v debootstrap >/dev/null || { echo "skip: debootstrap is not installed"; exit 77; }
. "$(dirname "$0")/../lib/over-ssh.sh"

logs=$TOP/build/test-logs
mkdir -p "$logs"

# The archive that this machine's own release comes from has the others, too.
mirror() {
	. /etc/os-release
	apt-get indextargets --format '$(REPO_URI)' "Identifier: Packages" "Codename: $VERSION_CODENAME" | head -n 1
}

build_root() { # NAME
	local root=$TOP/build/fresh/$1 log=$logs/fresh-$1-debootstrap.log
	[[ ! -e $root/usr/sbin/sshd || ! -e $root/usr/bin/qemu-system-x86_64 || -d $root/debootstrap ]] || return 0
	echo "$1: debootstrap"
	rm -rf --one-file-system "$root"
	mkdir -p "$root"
	debootstrap --variant=minbase --include=qemu-system-x86,openssh-server "$1" "$root" "$(mirror)" >"$log" 2>&1 ||
		{ tail -n 5 "$log" "$root/debootstrap/debootstrap.log" >&2; skip "debootstrap could not install $1 here"; }
}

# Host-b's programs, from now on, are those of the root; what it writes goes to a file system of its own.
enter_root() { # NAME: sets ROOT
	ROOT=$DIR/root-$1
	mkdir -p "$ROOT" "$DIR/upper-$1"
	on_b bash -ec '
		mount -t tmpfs over "$2"
		mkdir "$2/upper" "$2/work"
		mount -t overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay "$3"
		mount -t proc proc "$3/proc"
		mount -t sysfs sysfs "$3/sys"
		mount --rbind /dev "$3/dev"
		mount -t tmpfs -o mode=755 run "$3/run"
		mkdir -p "$3/run/sshd" "$3/root/.ssh" "$3$4"
		chmod 700 "$3/root/.ssh"' bash "$TOP/build/fresh/$1" "$DIR/upper-$1" "$ROOT" "$VM"
	cp "$(at_a "$HOME_A/.ssh/id_ed25519.pub")" "$(there "$ROOT/root/.ssh/authorized_keys")"
	cp "$HOSTS"/key_ed25519{,.pub} "$(there "$ROOT/etc/ssh/")"
	printf '%s\n' "ListenAddress $B_ADDRESS:22" "HostKey /etc/ssh/key_ed25519" "PidFile none" "UsePAM no" "UseDNS no" \
		"PermitRootLogin prohibit-password" >"$(there "$ROOT/etc/ssh/sshd_config")"
	start_on_b chroot "$ROOT" /usr/sbin/sshd -D -e >>"$SSHD_LOG" 2>&1
	wait_for 60 sshd_listens || fail "sshd does not start: $(tail -n 3 "$SSHD_LOG")"
}

move_to() { # NAME MACHINE
	build_root "$1"
	enter_root "$1"
	GUEST_START=guest_start MACHINE=$2 ssh_guest a
	# an unpacked QEMU is told where its firmware is; there it has its own
	tr '\0' '\n' <"/proc/${GUEST_PID[a]}/cmdline" | grep -A 1 -x -- -L | grep ^/ | while read -r dir; do
		mkdir -p "$(there "$ROOT")$dir"
	done
	DISK_DIR=$ROOT$VM ssh_move a root@host-b
	assert_arrived
	assert_result 'r["transport"] == "TLS 1.3, TLS_AES_128_GCM_SHA256"'
	[[ -z $(ls -A "$(there "$ROOT/root/.cache/vmferry")" 2>/dev/null) ]] || fail "the agent is left"
	[[ -z $(ls -A "$(there "$ROOT/run/vmferry")") ]] || fail "left in /run/vmferry"
	echo "$1: moved to QEMU $(result 'plan["destination_qemu_version"]') from $(result 'plan["qemu_version"]')"
	assert_eq "$(readlink "/proc/${GUEST_PID[a]}/exe")" "$ROOT/usr/bin/qemu-system-x86_64" "the QEMU there"
	guest_stop a
	sshd_stop
	end_process "$B_PID"
	rm -f "$VM"/*
	[[ -n ${KEEP:-} ]] || rm -rf --one-file-system "$TOP/build/fresh/$1"
}

hosts_start
sshd_stop
[[ $# -gt 0 ]] || set -- bookworm trixie
for name; do
	case $name in
	bookworm) move_to bookworm pc-q35-7.2 ;; # bookworm's QEMU knows no newer machine type
	*) move_to "$name" q35 ;;
	esac
done
