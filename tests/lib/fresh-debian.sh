# shellcheck shell=bash
# A fresh Debian in a directory (tests/long/chroot.sh, package.sh); to be sourced by a script that stands in the checkout. It brings the
# release's compiler, libraries and QEMU, but not its kernel, no systemd, no AppArmor profiles and no users: what depends on these is
# not tried there. Needs root and debootstrap; the mirror is the one that this machine's apt uses.
#
#   NAME       bookworm, trixie; trixie-backports: with the QEMU of backports installed
#   KEEP       not empty: one that is there is used again, and stays

logs=$PWD/build/test-logs
user=somebody

skip() { echo "skip: $*"; exit 77; }

[[ $EUID -eq 0 ]] || skip "root is needed to make a chroot"
command -v debootstrap >/dev/null || skip "debootstrap is not installed"
unshare --mount --pid --fork true 2>/dev/null || skip "no new namespaces may be made here"
mkdir -p "$logs"

# The archive that this machine's own release comes from has the others, too.
mirror() {
	. /etc/os-release
	apt-get indextargets --format '$(REPO_URI)' "Identifier: Packages" "Codename: $VERSION_CODENAME" | head -n 1
}

fresh_make() { # NAME ROOT
	[[ -z ${KEEP:-} || ! -e $2/etc/fresh ]] || return 0
	echo "$1: debootstrap"
	rm -rf --one-file-system "$2"
	mkdir -p "$2"
	debootstrap --variant=minbase --include=make,ca-certificates,sudo "${1%-backports}" "$2" "$(mirror)" >"$logs/chroot-$1-debootstrap.log" 2>&1 ||
		{ tail -n 20 "$logs/chroot-$1-debootstrap.log"; skip "debootstrap could not install $1 here"; }
	apt-config dump | grep -E '^Acquire::https?::' >"$2/etc/apt/apt.conf.d/90machine" || true
	cp -L /etc/resolv.conf /etc/hosts "$2/etc/"
	mkdir -p "$2/dev/net"
	mknod "$2/dev/net/tun" c 10 200
	[[ ! -e /dev/kvm ]] || mknod -m 666 "$2/dev/kvm" c 10 232
	mknod "$2/dev/loop-control" c 10 237
	for loop in {0..15}; do mknod "$2/dev/loop$loop" b 7 "$loop"; done
	chroot "$2" useradd --create-home --shell /bin/bash "$user"
	echo "$user ALL=(ALL) NOPASSWD: ALL" >"$2/etc/sudoers.d/$user"
	printf 'Defaults env_keep += "http_proxy https_proxy"\n' >"$2/etc/sudoers.d/proxy"
	[[ $1 != *-backports ]] || with_backports "$1" "$2"
	touch "$2/etc/fresh"
}

with_backports() { # NAME ROOT
	echo "deb $(mirror) $1 main" >"$2/etc/apt/sources.list.d/backports.list"
	fresh_run "$2" root / "apt-get -q update && apt-get -q -y install --no-install-recommends -t $1 qemu-system-x86 qemu-utils qemu-block-extra" \
		>"$logs/chroot-$1-qemu.log" 2>&1 || { tail -n 20 "$logs/chroot-$1-qemu.log"; skip "the QEMU of $1 could not be installed here"; }
}

fresh_checkout() { # ROOT DIRECTORY OWNER
	rm -rf "${1:?}/src" "$1/home/$user/vmferry" "$1/var/tmp/vmferry" # trees of earlier runs: each is 2 GB
	mkdir -p "$1$2"
	tar -c --exclude=./build --exclude=./.git . | tar -x --no-same-owner -C "$1$2"
	chroot "$1" chown -R "$3:" "$2"
}

# In a process and mount namespace of its own: when it ends, everything that ran and was mounted in it does.
fresh_run() { # ROOT USER DIRECTORY COMMAND
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 J="${J:-$(nproc)}" \
		${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} \
		unshare --mount --pid --fork --kill-child --propagation private bash -euc '
			mount --bind "$0" "$0"
			mount -t proc proc "$0/proc"
			mount -t sysfs sysfs "$0/sys"
			mount -t cgroup2 none "$0/sys/fs/cgroup" || true
			mkdir -p "$0/dev/pts" "$0/dev/shm" "$0/run"
			mount -t devpts -o newinstance,ptmxmode=666 devpts "$0/dev/pts"
			mount -t tmpfs tmpfs "$0/dev/shm"
			mount -t tmpfs tmpfs "$0/run"
			# a root of its own, as tests in there make and enter namespaces
			cd "$0"
			pivot_root . mnt
			umount -l mnt
			chroot . runuser -u "$1" -- env HOME="$(chroot . bash -c "echo ~$1")" CI=true J="$J" bash -c "cd $2 && $3"
			exit $? # no exec: the first process of this namespace must be one that waits for orphans
		' "$@" </dev/null
}

fresh_try() { # NAME ROOT USER DIRECTORY COMMAND [WORDS FOR IT]: sets `failed` if it fails
	local what=${6:-$5} start=$SECONDS status=0 log
	log=$logs/chroot-$1${4//[^a-z]/-}-${what//[^a-z]/-}.log
	fresh_run "${@:2:4}" >"$log" 2>&1 || status=$?
	echo "$1: $what by $3 in $4: status $status after $((SECONDS - start)) s: $(tail -n 1 "$log")"
	[[ $status -ne 0 ]] || return 0
	failed=1
	tail -n 40 "$log" | sed 's/^/     | /'
}

fresh_remove() { # ROOT
	[[ -n ${KEEP:-} ]] || rm -rf --one-file-system "$1"
}
