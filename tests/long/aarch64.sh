#!/bin/bash
# vmferry is compiled for aarch64 by Debian's cross compiler on a fresh Debian 13; tests of units that need no other process pass under QEMU's
# user emulation; and a guest of aarch64 (virt, UEFI, virtio) moves under TCG on this amd64 host (tests/lib/arm64-moves).
#   KEEP=1 tests/long/aarch64.sh                    leaves build/aarch64-root, for another look, and for the next KEEP=1
#   KEEP=1 STEPS=moves tests/long/aarch64.sh        of its steps (install, build, units, guest, moves) only those, on what is there
# timeout: 10800
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/lib/fresh-debian.sh

libraries=$(printf ' %s:arm64' libbz2-dev libjansson-dev liburing-dev liblz4-dev liblzma-dev libzstd-dev libxxhash-dev libssl-dev libseccomp-dev libssh2-1-dev \
	libxml2-dev libsqlite3-dev libcmocka-dev)
install="dpkg --add-architecture arm64 && apt-get -q update && scripts/install-deps --without-qemu &&
	apt-get -q -y install --no-install-recommends crossbuild-essential-arm64 pkgconf:arm64 $libraries qemu-user qemu-system-arm qemu-efi-aarch64 qemu-utils"
programs=build/aarch64-linux-gnu-release
tests=$(printf " $programs/tests/test-%s" proto codec encode qemu-args qemu-stream unit-set converge bundle attach)
build="make -j$(nproc) CI=true CROSS=aarch64-linux-gnu- all $tests && readelf -h $programs/vmferry-dst | grep AArch64"
units="for program in $tests; do qemu-aarch64 \$program || exit 1; done
	qemu-aarch64 $programs/vmferry --version && qemu-aarch64 $programs/vmferry-dst --version"
guest="make -j$(nproc) CI=true all build/release/ask-tool && mkdir -p build/arm64 && cd build/arm64 && chmod 777 . &&
	apt-get -q download busybox-static:arm64 \$(apt-cache depends linux-image-cloud-arm64:arm64 | sed -n 's/.*Depends: \\(linux-image.*\\)/\\1/p') &&
	for deb in busybox*.deb; do dpkg -x \$deb busybox; done && for deb in linux*.deb; do dpkg -x \$deb kernel; echo \$deb >kernel/package; done && cd ../.. &&
	CROSS=aarch64-linux-gnu- GUEST_DIR=\$PWD/build/arm64/guest KERNEL_DIR=\$PWD/build/arm64/kernel \
		BUSYBOX=\$(ls \$PWD/build/arm64/busybox/*bin/busybox \$PWD/build/arm64/busybox/usr/bin/busybox 2>/dev/null | head -n 1) tests/guest/build-guest"
moves="tests/lib/arm64-moves"

trap 'fresh_remove build/aarch64-root' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
failed=''
root=$PWD/build/aarch64-root/trixie
fresh_make trixie "$root"
[[ -n ${STEPS:-} && -e $root/src/vmferry ]] || fresh_checkout "$root" /src/vmferry root
for step in ${STEPS:-install build units guest moves}; do
	fresh_try trixie "$root" root /src/vmferry "${!step}" "aarch64-$step"
	[[ -z $failed ]] || break
done
[[ -z $failed ]]
