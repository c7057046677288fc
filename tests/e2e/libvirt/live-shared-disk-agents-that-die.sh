#!/bin/bash
# Either agent dies at a step of the live move of a libvirt guest, one disk of which both hosts see: the guest runs once, and goes on over that disk also where it had
# written to it before anybody knew that it ran.
# timeout: 400
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"

SHARED=yes
libvirt_guest_runs
for point in $(some_of src-pre-switchover src-ready src-held); do source_dies "$point" source 1; done
for point in $(some_of dst-libvirt-prepared dst-libvirt-held after-DST_PREPARED); do destination_dies "$point" source 1; done
for point in $(some_of after-SRC_COMMITTED before-SRC_RELEASED src-confirmed); do
	source_dies "$point" destination 0
	libvirt_guest_again
done
for point in $(some_of dst-libvirt-resumed after-DST_START before-DST_STARTED after-DST_STARTED); do
	destination_dies "$point" destination 0
	libvirt_guest_again
done
