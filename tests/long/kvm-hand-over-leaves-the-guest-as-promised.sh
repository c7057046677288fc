#!/bin/bash
# As kill/hand-over-leaves-the-guest-as-promised.sh, with a guest under KVM.
# timeout: 900
export ACCEL=kvm
. "$(dirname "$0")/../e2e/kill/hand-over-leaves-the-guest-as-promised.sh"
