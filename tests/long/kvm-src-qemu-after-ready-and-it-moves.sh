#!/bin/bash
# As kill/src-qemu-after-ready-and-it-moves.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill/src-qemu-after-ready-and-it-moves.sh"
