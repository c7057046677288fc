#!/bin/bash
# As kill-destination-agent-after-ready-does-not-stop-the-move.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill-destination-agent-after-ready-does-not-stop-the-move.sh"
