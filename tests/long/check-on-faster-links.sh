#!/bin/bash
# `vmferry check` says what a link of 10 Gb/s carries, and what a move of a guest that lives then needs where the link is not all that it takes, too: at
# 1, 3 and 10 Gb/s. How fast storage is it does not say, so disks lie in memory; and that costs the same all along.
# timeout: 900
# alone: it measures
set -eu
coproc steady { exec "${BIN:-$(dirname "$0")/../../build/release}/steady-memory-tool"; }
read -r said <&"${steady[0]}"
echo "memory is $said"
TMPDIR=$(mktemp -d /dev/shm/vmferry-test.XXXXXX)
trap 'rm -rf "$TMPDIR"' EXIT
export TMPDIR
FASTER=yes "$(dirname "$0")/../e2e/check/says-how-fast-the-link-is.sh"
for link in 1gbit 3gbit 10gbit; do
	LINK=$link MEM=1024 "$(dirname "$0")/../e2e/check/says-what-a-move-then-needs.sh" || exit
done
