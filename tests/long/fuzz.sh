#!/bin/bash
# Everything that reads what others wrote withstands a minute of fuzzing each.
# timeout: 1800
cd "$(dirname "${BASH_SOURCE[0]}")/../.." && exec tests/fuzz/run "${SECONDS_EACH:-60}"
