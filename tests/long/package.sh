#!/bin/bash
# On a fresh Debian: `make deb` with nothing but what debian/control names leaves the tree as it was; lintian has nothing to say of the packages;
# and autopkgtest installs them and has a guest moved by what is installed (debian/tests).
#   tests/long/package.sh [bookworm|trixie]...     without a name: both, one after the other
#   KEEP=1 tests/long/package.sh                   leaves build/package-root, for another look, and for the next KEEP=1
# timeout: 7200
#
# Its logs stay in build/test-logs. The maintainer's address is nobody's until there is somebody to write to, which lintian would call an error.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib/fresh-debian.sh

listing='find . -path ./build -prune -o ! -type d -printf "%p %s %m\n" | sort'
build="apt-get -q update && apt-get -q -y install --no-install-recommends build-essential &&
	apt-get -q -y build-dep --no-install-recommends ./ && $listing >/tmp/before && make deb && $listing | diff /tmp/before -"
# The next two install more, and come after what must do without it.
lintian="apt-get -q -y install --no-install-recommends lintian &&
	lintian --allow-root --fail-on error,warning --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog build/deb/*.changes"
autopkgtest="apt-get -q -y install --no-install-recommends autopkgtest && autopkgtest build/vmferry_*.deb ./ -- null"

trap 'fresh_remove build/package-root' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
failed=''
[[ $# -gt 0 ]] || set -- bookworm trixie
for name; do
	root=$PWD/build/package-root/$name
	fresh_make "$name" "$root"
	fresh_checkout "$root" /src/vmferry root
	for step in build lintian autopkgtest; do
		fresh_try "$name" "$root" root /src/vmferry "${!step}" "$step"
		[[ -z $failed ]] || break 2
	done
	fresh_remove "$root"
done
[[ -z $failed ]]
