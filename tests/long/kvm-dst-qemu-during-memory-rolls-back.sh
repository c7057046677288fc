#!/bin/bash
# As kill/dst-qemu-during-memory-rolls-back.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill/dst-qemu-during-memory-rolls-back.sh"
