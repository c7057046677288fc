#!/bin/bash
# The model of the hand-off holds, and spin finds every mistake that is put into it on purpose.
# timeout: 2400
cd "$(dirname "${BASH_SOURCE[0]}")/../model" && ./run && ./run --mutate
