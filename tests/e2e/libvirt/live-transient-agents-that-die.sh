#!/bin/bash
# Either agent dies at a step of the live move of a transient libvirt guest: it runs once, transient, and whoever recovers the move defines it nowhere.
# timeout: 400
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

TRANSIENT=yes

libvirt_guest_runs
for point in $(some_of src-libvirt-begun src-pre-switchover src-held); do source_dies "$point" source 1; done
for point in $(some_of dst-qemu-noted dst-libvirt-held after-DST_PREPARED); do destination_dies "$point" source 1; done
for point in $(some_of after-SRC_COMMITTED before-SRC_RELEASED src-confirmed); do
	source_dies "$point" destination 0
	libvirt_guest_again
done
for point in $(some_of after-DST_START before-DST_STARTED after-DST_STARTED before-DST_DONE); do
	destination_dies "$point" destination 0
	libvirt_guest_again
done
