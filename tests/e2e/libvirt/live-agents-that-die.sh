#!/bin/bash
# Either agent dies at a step of the live move of a libvirt guest: it runs once, at the source until it was given up there and at the destination afterwards, with
# its memory and its disks as it left them, libvirt has it where it runs, and recover settles the rest.
# timeout: 500
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

libvirt_guest_runs
for point in $(some_of src-libvirt-begun src-migrate src-definition-aside src-pre-switchover src-ready src-completed src-held); do
	source_dies "$point" source 1
done
for point in $(some_of dst-libvirt-prepare dst-libvirt-prepared dst-qemu-noted dst-libvirt-finished dst-libvirt-held before-DST_PREPARED after-DST_PREPARED); do
	destination_dies "$point" source 1
done
for point in $(some_of after-SRC_COMMITTED before-SRC_RELEASED src-confirmed); do
	source_dies "$point" destination 0
	libvirt_guest_again
done
for point in $(some_of before-DST_START after-DST_START dst-libvirt-resumed before-DST_STARTED after-DST_STARTED dst-defined before-DST_DONE); do
	destination_dies "$point" destination 0
	libvirt_guest_again
done
