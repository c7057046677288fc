#!/bin/bash
# Every test with libvirt in its name, whole (ALL_STEPS), on a fresh Debian 13 where libvirt is installed, not unpacked: its own with its QEMU, or those of
# backports; and with a virtqemud, which Debian does not have. A skip that tests/expected-skips does not have fails.
#   tests/long/newer-libvirt.sh [trixie|trixie-backports]...     without a name: both, one after the other
#   T=WORD... tests/long/newer-libvirt.sh                        only tests whose name contains one
#   KEEP=1 tests/long/newer-libvirt.sh                           leaves build/libvirt-root, for another look, and for the next KEEP=1
# timeout: 14400
#
# What has passed at this commit does not run again (build/libvirt-passed), so that a run that was cut off is gone on with. Its logs stay in
# build/test-logs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib/fresh-debian.sh

passed=$PWD/build/libvirt-passed
root=

install_libvirt() { # NAME ROOT
	local from=()
	[[ $1 != *-backports ]] || from=(-t "$1")
	fresh_run "$2" root / "export DEBIAN_FRONTEND=noninteractive; apt-get -q update && apt-get -q -y install --no-install-recommends ${from[*]} \
		libvirt-daemon libvirt-daemon-driver-{qemu,network,storage,secret} libvirt-daemon-log libvirt-clients" \
		>"$logs/libvirt-$1-install.log" 2>&1 || { tail -n 20 "$logs/libvirt-$1-install.log"; skip "the libvirt of $1 could not be installed here"; }
}

# Notes passed tests where the note outlives the chroot.
note_passed() {
	[[ -z $root || ! -s $root$there/build/passed ]] || cp "$root$there/build/passed" "$passed/${root##*/}"
	[[ -z $root ]] || fresh_remove "$root"
	root=
}

there=/src/vmferry
trap note_passed EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
commit=$(git rev-parse HEAD 2>/dev/null || echo none)
[[ $(cat "$passed/commit" 2>/dev/null) == "$commit" ]] || rm -rf "$passed"
mkdir -p "$passed"
echo "$commit" >"$passed/commit"
failed=''
[[ $# -gt 0 ]] || set -- trixie trixie-backports
for name; do
	root=$PWD/build/libvirt-root/$name
	fresh_make "$name" "$root"
	install_libvirt "$name" "$root"
	fresh_checkout "$root" "$there" root
	mkdir -p "$root$there/build"
	[[ ! -e $passed/$name ]] || cp "$passed/$name" "$root$there/build/passed"
	fresh_try "$name" "$root" root "$there" "tests/lib/make-virtqemud" virtqemud
	fresh_try "$name" "$root" root "$there" "libvirtd --version && scripts/install-deps --check --cross && make -j\$J all tests >/dev/null && tests/guest/build-guest &&
		ALL_STEPS=yes STATE=build/passed tests/lib/run ${T:-libvirt}" libvirt
	note_passed
done
[[ -z $failed ]]
