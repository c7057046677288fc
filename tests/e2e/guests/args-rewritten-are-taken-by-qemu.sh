#!/bin/bash
# QEMU itself takes what the rewriter makes of real-life lines (tests/data/args), and each of its options is in the
# rewriter's table. Not those cases that need what is not here: other modules of QEMU, huge pages, devices of the host.
# tier: gate
. "$(dirname "$0")/../../lib/guest.sh"

unknown=
for option in $("$QEMU" -h | grep -oE '^-[^ ]+(/-[^ ]+)?' | tr / '\n' | sed 's/^-*//' | sort -u); do
	case $option in
	h | version | audio-help | readconfig | set) ;; # the first three end QEMU, the others are worked into the line
	*) grep -q "^	{\"$option\"," "$TOP/common/args/qemu-args.c" || unknown+=" -$option" ;;
	esac
done
[[ -z $unknown ]] || fail "options that the rewriter does not know:$unknown"

mapfile -t cases < <(some_of 9p-share ahci-and-floppy arch-virtio-tap cloud-image-seed gentoo-script libvirt-without-descriptors macos-like \
	many-luns medium-ejected mem-path memory-backends microvm moved-before net-legacy-pairs openbsd-serial \
	pflash-blockdev proxmox-lvm quickstart-hda readconfig tap-mapped-to-a-bridge)
python3 -S "$TOP/tests/lib/accepts.py" "$QEMU" "$QEMU_IMG" "$DIR/lines" "${cases[@]}" ||
	fail "QEMU refuses a rewritten line"
