#!/bin/bash
# Either agent dies at a step of the move of a libvirt guest that runs on as a plain one (--as plain): it runs once, under libvirt at the source as if nothing had been
# until it was given up there, and as a plain guest at the destination afterwards, with its memory and its disks as it left them, and no libvirt has it then.
# timeout: 500
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/libvirt-live.sh"
. "$(dirname "$0")/../../lib/libvirt-plain.sh"

assert_runs() { # source|destination
	if [[ $1 == destination ]]; then assert_runs_plain; else assert_runs_at source; fi
	assert_nothing_unfinished
}

libvirt_guest_runs
for point in $(some_of src-libvirt-begun src-migrate src-definition-aside src-pre-switchover src-ready src-completed src-held); do
	source_dies "$point" source 1
done
for point in $(some_of dst-prepare dst-qemu-noted before-DST_PREPARED after-DST_PREPARED); do
	destination_dies "$point" source 1
done
for point in $(some_of after-SRC_COMMITTED before-SRC_RELEASED src-confirmed); do
	source_dies "$point" destination 0
	plain_again
done
for point in $(some_of before-DST_START after-DST_START before-DST_STARTED after-DST_STARTED before-DST_DONE); do
	destination_dies "$point" destination 0
	plain_again
done

# A plain guest whose first disk both hosts see.
SHARED=yes
BESIDE=$DIR/both
libvirt_guest_again
for point in $(some_of src-ready src-held); do source_dies "$point" source 1; done
for point in $(some_of dst-qemu-noted after-DST_PREPARED); do destination_dies "$point" source 1; done
source_dies after-SRC_COMMITTED destination 0
plain_again
destination_dies after-DST_START destination 0
