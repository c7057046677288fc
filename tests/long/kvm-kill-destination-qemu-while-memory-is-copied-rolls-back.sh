#!/bin/bash
# As kill-destination-qemu-while-memory-is-copied-rolls-back.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill-destination-qemu-while-memory-is-copied-rolls-back.sh"
