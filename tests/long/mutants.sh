#!/bin/bash
# Every bug of tests/mutants is noticed by the tests that it names.
# timeout: 7200
# alone: it builds all the time, and runs tests of its own
exec env -u LONG "$(dirname "$0")/../mutants/run" # LONG would make a minute of each
