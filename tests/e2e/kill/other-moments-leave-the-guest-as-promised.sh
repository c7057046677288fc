#!/bin/bash
# An agent or a QEMU is killed at other moments of a move, or in one to the other kind of destination than hand-over-… has: where the guest is then,
# and who says so.
# timeout: 1200
# takes: 240
. "$(dirname "${BASH_SOURCE[0]}")/../../faults/promised.sh"

promised <<-'END'
	disks                dst-agent local     source, migrate says 1*lost the destination
	disks                dst-agent listener  source, migrate says 1*lost the destination
	memory               dst-agent local     source, migrate says 1*lost the destination
	after-DST_PREPARED   dst-agent local     source, migrate says 1*lost the destination
	after-DST_PREPARED   dst-agent listener  source, migrate says 1*lost the destination
	before-SRC_COMMITTED dst-agent listener  destination, migrate says 0
	before-DST_START     dst-agent local     destination, migrate says 0
	after-DST_START      dst-agent listener  destination, migrate says 0
	before-DST_STARTED   dst-agent local     destination, migrate says 0
	after-DST_STARTED    dst-agent local     destination, migrate says 0
	before-DST_DONE      dst-agent listener  destination, migrate says 0
	after-DST_DONE       dst-agent local     destination, migrate says 0

	disks                dst-qemu  local     source, migrate says 1*destination QEMU ended
	disks                dst-qemu  listener  source, migrate says 1*destination QEMU ended
	memory               dst-qemu  local     source, migrate says 1*destination QEMU ended
	memory               dst-qemu  listener  source, migrate says 1*destination QEMU ended
	src-ready            dst-qemu  local     source, migrate says 1*destination
	before-SRC_COMMITTED dst-qemu  listener  source, migrate says 1*destination
	after-SRC_COMMITTED  dst-qemu  local     source, migrate says 1*destination

	disks                src-agent local     source, recover says 1
	disks                src-agent listener  source, recover says 1
	before-SRC_COMMITTED src-agent local     source, recover says 1
	after-SRC_COMMITTED  src-agent listener  destination, recover says 0
	before-SRC_RELEASED  src-agent local     destination, recover says 0
	after-SRC_RELEASED   src-agent listener  destination, recover says 0

	disks                src-qemu  local     nowhere, migrate says 8*the source QEMU ended
	disks                src-qemu  listener  nowhere, migrate says 8*the source QEMU ended
	src-ready            src-qemu  local     destination, migrate says 0
	after-SRC_COMMITTED  src-qemu  local     destination, migrate says 0
	after-SRC_COMMITTED  src-qemu  listener  destination, migrate says 0
END
