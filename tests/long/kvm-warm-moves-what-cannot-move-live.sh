#!/bin/bash
# As warm/moves-what-cannot-move-live.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/warm/moves-what-cannot-move-live.sh"
