#!/bin/bash
# As kill/src-agent-after-committed-then-recover-moves.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill/src-agent-after-committed-then-recover-moves.sh"
