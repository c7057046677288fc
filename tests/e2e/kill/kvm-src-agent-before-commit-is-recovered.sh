#!/bin/bash
# As kill/src-agent-before-commit-then-recover-undoes.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/src-agent-before-commit-then-recover-undoes.sh"
