#!/bin/bash
# As kill-source-agent-while-memory-is-copied-then-recover-takes-the-guest-back.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill-source-agent-while-memory-is-copied-then-recover-takes-the-guest-back.sh"
