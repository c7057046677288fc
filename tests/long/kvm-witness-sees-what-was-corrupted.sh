#!/bin/bash
# As project/tiny-witness-sees-what-was-corrupted.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/project/tiny-witness-sees-what-was-corrupted.sh"
