#!/bin/bash
# As kill-source-agent-after-committed-then-recover-finishes-at-the-destination.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill-source-agent-after-committed-then-recover-finishes-at-the-destination.sh"
