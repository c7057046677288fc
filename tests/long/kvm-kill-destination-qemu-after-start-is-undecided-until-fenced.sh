#!/bin/bash
# As kill-destination-qemu-after-start-is-undecided-until-fenced.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill-destination-qemu-after-start-is-undecided-until-fenced.sh"
