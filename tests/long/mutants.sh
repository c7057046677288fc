#!/bin/bash
# Every bug of tests/mutants/list is noticed by the tests that it names.
# timeout: 7200
# alone: it builds all the time, and runs tests of its own
exec "$(dirname "$0")/../mutants/run"
