#!/bin/bash
# Every test of tests/e2e/cluster, whole (ALL_STEPS), on a fresh Debian 13, where Pacemaker 3.0 and corosync are installed, not unpacked: nodes are the same
# namespaces as elsewhere, with that release's Pacemaker, resource agents and QEMU. A skip that tests/expected-skips does not have fails.
#   T=WORD... tests/long/newer-pacemaker.sh     only tests whose name contains one
#   KEEP=1 tests/long/newer-pacemaker.sh        leaves build/pacemaker-root, for another look, and for the next KEEP=1
# timeout: 7200
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib/fresh-debian.sh

name=trixie
root=$PWD/build/pacemaker-root/$name
there=/src/vmferry
failed=''

install_pacemaker() {
	fresh_run "$root" root / "export DEBIAN_FRONTEND=noninteractive; apt-get -q update &&
		apt-get -q -y install --no-install-recommends pacemaker pacemaker-cli-utils corosync" \
		>"$logs/pacemaker-$name-install.log" 2>&1 || { tail -n 20 "$logs/pacemaker-$name-install.log"; skip "the Pacemaker of $name could not be installed here"; }
}

trap 'fresh_remove "$root"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
fresh_make "$name" "$root"
install_pacemaker
fresh_checkout "$root" "$there" root
fresh_try "$name" "$root" root "$there" "pacemakerd --version && scripts/install-deps && make -j\$J all tests >/dev/null && tests/guest/build-guest &&
	ALL_STEPS=yes tests/lib/run ${T:-e2e/cluster/}" pacemaker
[[ -z $failed ]]
