#!/bin/bash
# On a fresh Debian, with nothing installed but make: `make demo` and `make check`, as a new user runs them: on bookworm as root in a
# checkout below /var/tmp, on trixie as a user with sudo, also where its QEMU is that of backports. A skip that tests/expected-skips
# does not have fails.
#   tests/long/chroot.sh [bookworm|trixie|trixie-backports]...      without a name: all, one after the other
#   ALL=1 tests/long/chroot.sh                     on each as root, as a user, and below /var/tmp: two hours
#   T=word tests/long/chroot.sh                    only tests whose name contains it
#   ONLY=somebody tests/long/chroot.sh             of these runs those with that word: demo, somebody, /src, /var/tmp
#   KEEP=1 tests/long/chroot.sh                    leaves build/chroot, for another look, and for the next KEEP=1
# timeout: 21600
#
# It lies under build/chroot/NAME while it runs (3 GB), and its logs stay in build/test-logs.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib/fresh-debian.sh

is_wanted() { # NAME USER DIRECTORY COMMAND
	[[ "$2 $3 $4" == *${ONLY:-}* ]] &&
		[[ -n ${ALL:-}${ONLY:-} || $4 == "make demo" || "$1 $2 $3" == "bookworm root /var/tmp/vmferry" || "$1 $2" == "trixie"*" $user" ]]
}

check="make check${T:+ T=$T}"
trap 'fresh_remove build/chroot' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
failed=''
[[ $# -gt 0 ]] || set -- bookworm trixie trixie-backports
for name in "$@"; do
	root=$PWD/build/chroot/$name
	fresh_make "$name" "$root"
	for where in "root /src/vmferry" "$user /home/$user/vmferry" "root /var/tmp/vmferry"; do
		read -r who directory <<<"$where"
		there=''
		for command in "make demo" "$check"; do
			[[ $command == "$check" || $directory == /src/* ]] || continue # once is enough of that
			is_wanted "$name" "$who" "$directory" "$command" || continue
			[[ -n $there ]] || fresh_checkout "$root" "$directory" "$who"
			there=1
			fresh_try "$name" "$root" "$who" "$directory" "$command"
		done
	done
	fresh_remove "$root"
done
[[ -z $failed ]]
