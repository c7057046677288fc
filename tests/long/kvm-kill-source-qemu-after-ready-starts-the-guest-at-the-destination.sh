#!/bin/bash
# As kill-source-qemu-after-ready-starts-the-guest-at-the-destination.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill-source-qemu-after-ready-starts-the-guest-at-the-destination.sh"
