#!/bin/bash
# On a fresh Debian, with nothing installed but make: `make demo` and `make check`, as a new user runs them: on bookworm as root in a
# checkout below /var/tmp, on trixie as a user with sudo. A skip that tests/expected-skips does not have fails.
#   tests/long/chroot.sh [bookworm|trixie]...      without a name: both, one after the other
#   ALL=1 tests/long/chroot.sh                     on each as root, as a user, and below /var/tmp: two hours
#   T=word tests/long/chroot.sh                    only tests whose name contains it
#   ONLY=somebody tests/long/chroot.sh             of these runs those with that word: demo, somebody, /src, /var/tmp
#   KEEP=1 tests/long/chroot.sh                    leaves build/chroot, for another look, and for the next KEEP=1
# timeout: 21600
#
# Needs root and debootstrap; the mirror is the one that this machine's apt uses. It lies under
# build/chroot/NAME while it runs (3 GB), and its logs stay in build/test-logs.
#
# A chroot brings the release's compiler, libraries and QEMU, but not its kernel, no systemd, no AppArmor
# profiles and no users: what depends on these is not tried here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

skip() { echo "skip: $*"; exit 77; }

[[ $EUID -eq 0 ]] || skip "root is needed to make a chroot"
command -v debootstrap >/dev/null || skip "debootstrap is not installed"
unshare --mount --pid --fork true 2>/dev/null || skip "no new namespaces may be made here"

# The archive that this machine's own release comes from has the others, too.
mirror() {
	. /etc/os-release
	apt-get indextargets --format '$(REPO_URI)' "Identifier: Packages" "Codename: $VERSION_CODENAME" | head -n 1
}

build_chroot() { # NAME ROOT
	[[ -z ${KEEP:-} || ! -e $2/etc/sudoers.d/proxy ]] || return 0
	echo "$1: debootstrap"
	rm -rf "$2"
	mkdir -p "$2"
	debootstrap --variant=minbase --include=make,ca-certificates,sudo "$1" "$2" "$(mirror)" >"$logs/chroot-$1-debootstrap.log" 2>&1 ||
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
}

check_out() { # ROOT DIRECTORY OWNER
	rm -rf "${1:?}/src" "$1/home/$user/vmferry" "$1/var/tmp/vmferry" # of those before: each is 2 GB
	mkdir -p "$1$2"
	tar -c --exclude=./build --exclude=./.git . | tar -x --no-same-owner -C "$1$2"
	chroot "$1" chown -R "$3:" "$2"
}

# In a process and mount namespace of its own: when it ends, everything that ran and was mounted in it does.
in_chroot() { # ROOT USER DIRECTORY COMMAND
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
			exit $? # not exec: the first process of this namespace is to be one that waits for orphans
		' "$@" </dev/null
}

is_wanted() { # NAME USER DIRECTORY COMMAND
	[[ "$2 $3 $4" == *${ONLY:-}* ]] &&
		[[ -n ${ALL:-}${ONLY:-} || $4 == "make demo" || "$1 $2 $3" == "bookworm root /var/tmp/vmferry" || "$1 $2" == "trixie $user" ]]
}

try() { # NAME ROOT USER DIRECTORY COMMAND
	local log=$logs/chroot-$1${4//[^a-z]/-}-${5//[^a-z]/-}.log start=$SECONDS status=0
	in_chroot "${@:2}" >"$log" 2>&1 || status=$?
	echo "$1: $5 by $3 in $4: status $status after $((SECONDS - start)) s: $(tail -n 1 "$log")"
	[[ $status -eq 0 ]] && return
	failed=1
	tail -n 40 "$log" | sed 's/^/     | /'
}

clean_up() {
	[[ -n ${KEEP:-} ]] || rm -rf --one-file-system build/chroot
}

logs=$PWD/build/test-logs
user=somebody
check="make check${T:+ T=$T}"
mkdir -p "$logs"
trap clean_up EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
failed=''
[[ $# -gt 0 ]] || set -- bookworm trixie
for name in "$@"; do
	root=$PWD/build/chroot/$name
	build_chroot "$name" "$root"
	for where in "root /src/vmferry" "$user /home/$user/vmferry" "root /var/tmp/vmferry"; do
		read -r who directory <<<"$where"
		there=''
		for command in "make demo" "$check"; do
			[[ $command == "$check" || $directory == /src/* ]] || continue # once is enough of that
			is_wanted "$name" "$who" "$directory" "$command" || continue
			[[ -n $there ]] || check_out "$root" "$directory" "$who"
			there=1
			try "$name" "$root" "$who" "$directory" "$command"
		done
	done
	[[ -n ${KEEP:-} ]] || rm -rf --one-file-system "$root"
done
[[ -z $failed ]]
