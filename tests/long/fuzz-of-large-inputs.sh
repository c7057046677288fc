#!/bin/bash
# What takes more time than its length allows: inputs of up to 1 MiB, repeated from what is known already, and none takes 10 s.
# timeout: 1800
cd "$(dirname "${BASH_SOURCE[0]}")/../.." && MAX_LEN=1048576 INPUT_S=10 exec tests/fuzz/run "${SECONDS_EACH:-20}"
