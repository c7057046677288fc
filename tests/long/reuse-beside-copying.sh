#!/bin/bash
# Prints, for N pairs (3) of moves of a guest with one disk of DISK_MB (1024), how long copying it took and how long the way back did, where the old
# copy is all but the same (--reuse auto), what travelled, and the latter time as a part of the former: it should not be more than 1. LIMIT: what the network
# carries in a second (110M: 1 Gb/s; 0: all that it can). COLD=yes: nothing of the old copy is in the page cache; of the disk at the source nothing ever is. It
# measures, and fails only if a move does.
# timeout: 1800
VMFERRY_FAULT_BEFORE=none:fail # no fault: blocks may be sent uncompared
. "$(dirname "$0")/../lib/move.sh"

N=${N:-3} LIMIT=${LIMIT:-110M} DISK_MB=${DISK_MB:-1024} COLD=${COLD:-}

TIMES=()
limit=(--bwlimit "$LIMIT")
[[ $LIMIT != 0 ]] || limit=()
FROM=$DIR/one THERE=$DIR/two

forget() { # FILE
	sync "$1"
	dd of="$1" oflag=nocache conv=notrunc,fdatasync count=0 status=none
}

there() { # WORD [OPTION...]: to the other directory
	local from=$FROM
	forget "$FROM/a.raw"
	move_start a local "${limit[@]}" --disk-dir "$THERE" "${@:2}"
	TO=$THERE
	move_wait
	result "'$1 %6.1f s, %5.0f MiB on the wire' % (r['total_ms'] / 1000, r['bytes_wire'] / 2**20)"
	TIMES+=("$(result 'r["total_ms"]')")
	FROM=$THERE THERE=$from
}

mkdir "$FROM"
head -c "${DISK_MB}M" /dev/urandom >"$FROM/a.raw"
MEM=256 WITNESS="ram_mb=16 rate=10 disks=vda disk_mb=8 disk_rate=2" guest_start a $(guest_drive d0 "$FROM/a.raw" raw)
for ((i = 1; i <= N; i++)); do
	rm -rf "$THERE" && mkdir "$THERE"
	there copied
	if [[ $COLD ]]; then forget "$THERE/a.raw"; else cat "$THERE/a.raw" >/dev/null; fi
	there reused --reuse auto
done
guest_verify "$(orders a)" blocks
python3 - "${TIMES[@]}" <<'EOF'
import statistics, sys
t = [float(x) for x in sys.argv[1:]]
parts = [r / c for c, r in zip(t[::2], t[1::2])]
print("reused / copied: median %.2f (%s)" % (statistics.median(parts), " ".join("%.2f" % x for x in parts)))
EOF
