#!/bin/bash
# Prints, for N moves (20), the downtime that was predicted when the switchover was decided, and what it came to, by its parts; at the end how many
# moves were within a quarter of the prediction, or 15 ms. LOAD: so many processes compute beside them (0). GUEST: idle, busy or both in turn (both).
# MEM, OPTIONS: of the guest (512), and of each move. It measures, and fails only if a move does.
# timeout: 3600
. "$(dirname "$0")/../lib/move.sh"

N=${N:-20} LOAD=${LOAD:-0} MEM=${MEM:-512}
declare -A RATE=([idle]=10 [busy]=1500)

guest_disk "$DIR/a.qcow2" qcow2 256M
WITNESS="ram_mb=$((MEM / 2)) rate=10 disks=vda disk_mb=32 disk_rate=20" guest_start a $(guest_drive d0 "$DIR/a.qcow2" qcow2)
for ((i = 0; i < LOAD; i++)); do
	(while :; do :; done) &
	kill_at_exit $!
done
: >"$DIR/figures"
echo " load  guest  predicted  real   disks memory recheck device journals start"
for ((i = 1; i <= N; i++)); do
	kind=${GUEST:-both}
	[[ $kind != both ]] || { kind=busy; ((i % 2)) || kind=idle; }
	guest_order "$(orders a)" "rate ${RATE[$kind]}" >/dev/null
	# shellcheck disable=SC2086
	move a local ${OPTIONS:-}
	read -r load _ </proc/loadavg
	result '"%.1f %.1f" % (r["downtime_ms"]["predicted"], r["downtime_ms"]["total"])' >>"$DIR/figures"
	printf '%5s  %s  ' "$load" "$kind"
	result '"%6.0f -> %6.0f   " % (r["downtime_ms"]["predicted"], r["downtime_ms"]["total"]) + " ".join("%6.0f" % r["downtime_ms"][k]
		for k in ("disk", "ram", "recheck", "device_state", "journal", "start"))'
	rm -rf "$DIR/d$((MOVES - 1))"
done
python3 -S - "$DIR/figures" <<-'END'
	import sys
	from statistics import median
	moves = [tuple(map(float, line.split())) for line in open(sys.argv[1])]
	good = sum(abs(real - said) <= max(0.25 * said, 15) for said, real in moves)
	print("within 25 % or 15 ms: {} of {}; above: {}; real over predicted, at the median: {:.2f}".format(
		good, len(moves), sum(real > said for said, real in moves), median(real / said for said, real in moves)))
END
guest_verify "$(orders a)" blocks
