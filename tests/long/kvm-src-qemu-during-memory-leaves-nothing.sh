#!/bin/bash
# As kill/src-qemu-during-memory-leaves-nothing-there.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill/src-qemu-during-memory-leaves-nothing-there.sh"
