#!/bin/bash
# Recover takes back a guest under KVM whose source agent dies before COMMITTED.
# timeout: 300
. "$(dirname "$0")/../../faults/promised.sh"
export ACCEL=kvm
promised <<<"before-SRC_COMMITTED src-agent listener source, recover says 1"
