#!/bin/bash
# As kill/other-moments-leave-the-guest-as-promised.sh, with a guest under KVM.
# timeout: 1800
export ACCEL=kvm
. "$(dirname "$0")/../e2e/kill/other-moments-leave-the-guest-as-promised.sh"
