#!/bin/bash
# As kill-destination-qemu-after-ready-rolls-back.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill-destination-qemu-after-ready-rolls-back.sh"
