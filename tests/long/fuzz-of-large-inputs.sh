#!/bin/bash
# Inputs of up to 1 MiB, repeated from known ones, take no more time than their length allows: none takes 10 s.
# timeout: 1800
cd "$(dirname "${BASH_SOURCE[0]}")/../.." && MAX_LEN=1048576 INPUT_S=10 exec tests/fuzz/run "${SECONDS_EACH:-20}"
