#!/bin/bash
# A sample of the table of lies (tests/lib/lies.py), told by a source to vmferry-dst and by a destination to vmferry, each in a move of its own:
# refused with a sentence, or harmless; the guest runs in one place and verifies, nothing is left, no agent dies or takes much memory.
# All of them: tests/long/lies-on-*.sh.
# timeout: 240
# takes: 25
# tier: gate
. "$(dirname "$0")/../../lib/lies.sh"

SAMPLE=('^control up: DESCRIBE disks\.0\.path = up' '^control up: DESCRIBE cpu\.vendor = absolute'
	'^control up: HANDOFF:src-COMMITTED comes after PREPARE' '^control down: ACCEPT obstacles = added' '^control down: HELLO\.session = another'
	'^control down: HANDOFF:dst-STARTED comes before COPY_READY' '^control down: HANDOFF:dst-DONE pid = -1$')
if beyond_gate unit/test-data-path unit/test-peer-accept unit/test-handoff unit/test-attempt; then
	SAMPLE+=('^data up: DATA:ram\.extent\.offset = 1152921504606846976' '^control down: DURABLE:disk\.number = \+1'
		'^data up: ROUND_BEGIN:\w+\.number = \+1$' '^data up: OBJECT:disk\.size = 1152921504606846976' '^data up: END:stream twice'
		'^data up: DELTA:ram\.number = \+1' '^control up: FILE_DATA\.offset = 1152921504606846976' '^control up: DESCRIBE disks\.0\.path = (absolute|64KiB)'
		'^control up: DESCRIBE ram_bytes = 1152921504606846976' '^control up: DESCRIBE argv = many' '^control up: DESCRIBE refused = added'
		'^data down: HELLO\.session = another' '^control down: HAVE:disk\.block = 1152921504606846976' '^control down: ACCEPT carry\.0\.file = 1152921504606846976'
		'^control down: COPY_READY channels = 2147483648' '^control down: HANDOFF:dst-PREPARED comes before COPY_READY'
		'^control down: HANDOFF:dst-PREPARED undecided = other$')
fi
lies "${SAMPLE[@]}"
