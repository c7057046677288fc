#!/bin/bash
# As kill/dst-agent-after-ready-and-it-moves.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/kill/dst-agent-after-ready-and-it-moves.sh"
