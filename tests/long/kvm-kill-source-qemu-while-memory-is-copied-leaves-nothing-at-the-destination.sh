#!/bin/bash
# As kill-source-qemu-while-memory-is-copied-leaves-nothing-at-the-destination.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill-source-qemu-while-memory-is-copied-leaves-nothing-at-the-destination.sh"
