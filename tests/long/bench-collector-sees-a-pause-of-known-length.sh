#!/bin/bash
# A guest is paused for known times, by QEMU's own clock; the collector hears gaps of just these lengths, in the heartbeat and
# in the TCP connection, which lives on. The check sees a figure that is wrong by 4 ms.
# alone: a QEMU of it has real-time priority
. "$(dirname "$0")/../lib/guest.sh"
. "$TOP/tests/lib/collect.sh"

# Between two beats 1 ms passes in any case: the gap is the pause and that. What is tested is the collector, not how busy this
# machine is, which may keep an emulated guest from running for some milliseconds at any time: that only adds to a gap. So QEMU is
# preferred to other processes where this is allowed, and of nine gaps of each length the second shortest is taken.
check_gaps() { # ERROR-MS that is added to each pause
	python3 - "$DIR/heard.json" "$DIR/pauses.json" "$1" <<-'END'
		import json, sys
		PERIOD_MS, TOLERANCE_MS = 1, 2
		gaps = json.load(open(sys.argv[1]))["heartbeat"]["gaps"]
		errors = {}
		for pause in json.load(open(sys.argv[2])):
		    length = (pause["end"] - pause["begin"]) * 1000 + float(sys.argv[3])
		    heard = max((gap["ms"] for gap in gaps if gap["at"] < pause["end"] and gap["at"] + gap["ms"] / 1000 > pause["begin"]), default=0)
		    errors.setdefault(pause["wanted_ms"], []).append(heard - PERIOD_MS - length)
		typical = {wanted: round(sorted(found)[1], 2) for wanted, found in errors.items()}
		print("gap - pause, ms:", typical)
		sys.exit(not (len(typical) == 5 and all(abs(error) <= TOLERANCE_MS for error in typical.values())))
	END
}

collector_start -g 1000
MEM=256 WITNESS="ram_mb=8 rate=0 bg_check=0 hb_ms=1000 $(collector_witness)" guest_start a $(collector_net)
chrt -a -f -p 10 "${GUEST_PID[a]}" 2>/dev/null || echo "QEMU is not preferred to other processes"
collector_greet "$DIR/a.orders"
collector_clear
python3 "$TOP/tests/lib/pauses.py" "$DIR/a.qmp" 9 20 50 100 200 400 >"$DIR/pauses.json"
collector_stop

check_gaps 0 || fail "the gaps are not as long as the pauses"
! check_gaps 4 || fail "pauses that were 4 ms longer would pass for the same"
! check_gaps -4 || fail "pauses that were 4 ms shorter would pass for the same"
assert_heard 'h["lost"] == 0 and h["received"] > 1000'
assert_heard 't["connected"] and t["connection_first"] == t["connection_last"] == 1 and t["records"] > 100 and t["unechoed"] < 20'
assert_heard '400 <= t["gap"]["ms"] < 600' # the longest of all, however busy the machine was
