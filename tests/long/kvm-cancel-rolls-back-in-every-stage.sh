#!/bin/bash
# As fail/cancel-rolls-back-in-every-stage.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/fail/cancel-rolls-back-in-every-stage.sh"
