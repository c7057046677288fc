#!/bin/bash
# As kill-source-agent-after-started-then-recover-ends-the-source-qemu.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill-source-agent-after-started-then-recover-ends-the-source-qemu.sh"
