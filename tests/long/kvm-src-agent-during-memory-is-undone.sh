#!/bin/bash
# As kill/src-agent-during-memory-then-recover-undoes.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill/src-agent-during-memory-then-recover-undoes.sh"
