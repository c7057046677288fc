#!/bin/bash
# An agent or a QEMU is killed around the promise and COMMITTED, or while memory is copied: where the guest is then, and who says so. A destination
# that has promised is reached once more and starts it; without COMMITTED it does not, however long it waits.
# timeout: 400
# takes: 25
# tier: gate
. "$(dirname "${BASH_SOURCE[0]}")/../../faults/promised.sh"

promised <<-'END'
	before-SRC_COMMITTED dst-agent local     destination, migrate says 0
	after-SRC_COMMITTED  src-agent local     destination, recover says 0
	src-ready            src-qemu  listener  destination, migrate says 0
END
beyond_gate unit/test-both-conductors e2e/kill/guard-takes-the-guest-back || exit 0
promised <<-'END'
	memory               dst-agent listener  source, migrate says 1*lost the destination
	src-ready            src-agent local     source, recover says 1
	before-SRC_COMMITTED src-agent listener  source, recover says 1
END
