#!/bin/bash
# As kill/src-agent-after-started-then-recover-clears.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill/src-agent-after-started-then-recover-clears.sh"
