#!/bin/bash
# Everything that decodes what a peer sent withstands a minute of fuzzing each.
# timeout: 1200
cd "$(dirname "${BASH_SOURCE[0]}")/../.." && exec tests/fuzz/run "${SECONDS_EACH:-60}"
