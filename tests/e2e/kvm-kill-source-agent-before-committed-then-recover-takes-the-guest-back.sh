#!/bin/bash
# As kill-source-agent-before-committed-then-recover-takes-the-guest-back.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/kill-source-agent-before-committed-then-recover-takes-the-guest-back.sh"
