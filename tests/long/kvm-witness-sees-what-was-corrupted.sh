#!/bin/bash
# As tiny-witness-sees-what-was-corrupted.sh, with a guest under KVM.
# timeout: 300
ACCEL=kvm
. "$(dirname "$0")/../e2e/tiny-witness-sees-what-was-corrupted.sh"
