#!/bin/bash
# Prints, for moves of several shapes, how long `vmferry check` says that each takes and how many bytes it puts on the wire, and what it comes to; at the
# end how many were within a quarter. LINK: none (this host itself), or a rate (100mbit): between the hosts of the lab. OPTIONS: of check and move
# (--bwlimit 100mbit). SHAPES: of idle, busy, disk, half; N moves of each (3). It measures, and fails only if a move does. What others use of this
# machine's processors makes moves slower: compare medians, and of a machine that is busy those with a limit alone.
# timeout: 3600
# alone: it measures
LINK=${LINK:-none} OPTIONS=${OPTIONS:-} SHAPES=${SHAPES:-idle busy disk half} N=${N:-3}
if [[ $LINK != none ]]; then
	. "$(dirname "$0")/../lib/lab.sh"
	enter_lab "$LINK" "$0" "$@"
fi
. "$(dirname "$0")/../lib/move.sh"
. "$(dirname "$0")/../lib/tiny.sh"

to=local FERRY_OPTIONS=()
mkdir "$DIR"/{src,there}
if [[ $LINK != none ]]; then
	ON=(ip netns exec src)
	agent_start dst
	ferry_options src dst
	to=${AGENT[dst]}
fi
find /usr/lib /usr/bin -xdev -type f -size +8k -size -2M -print0 | sort -z >"$DIR/files"

files_to() { # FILE MIB: what a system's disk has
	(set +o pipefail; xargs -0 cat <"$DIR/files" 2>/dev/null | head -c "$2M" >"$1")
}

idle() { # 256 MiB, of which a half is used
	guest_disk "$DIR/src/a.raw" raw 64M
	MEM=256 WITNESS="ram_mb=128 rate=0" tiny_start a $(guest_drive d0 "$DIR/src/a.raw" raw)
}

busy() { # 1 GiB, and 6 MB/s of it written
	guest_disk "$DIR/src/a.raw" raw 256M
	MEM=1024 WITNESS="ram_mb=512 rate=1500 disks=vda disk_mb=64 disk_rate=20" tiny_start a $(guest_drive d0 "$DIR/src/a.raw" raw)
}

disk() { # 100 MiB of a raw disk, which it has in memory, too
	files_to "$DIR/src/a.raw" 100
	truncate -s 200M "$DIR/src/a.raw"
	MEM=512 WITNESS="ram_mb=64 rate=100 disks=vda disk_mb=8 disk_rate=10" tiny_start a $(guest_drive d0 "$DIR/src/a.raw" raw)
}

half() { # a qcow2 image that is half full
	files_to "$DIR/half" 1024
	truncate -s 2G "$DIR/half"
	"$QEMU_IMG" convert -f raw -O qcow2 "$DIR/half" "$DIR/src/a.qcow2"
	sync "$DIR/src/a.qcow2"
	MEM=256 WITNESS="ram_mb=64 rate=10" tiny_start a $(guest_drive d0 "$DIR/src/a.qcow2" qcow2)
}

: >"$DIR/figures"
echo "shape  load   seconds           MB on the wire      limited by"
for shape in $SHAPES; do
	for ((i = 0; i < N; i++)); do
		"$shape"
		# shellcheck disable=SC2086
		"${ON[@]}" "$BIN/vmferry" check "${GUEST_PID[a]}" "$to" --disk-dir "$DIR/there" --json "${FERRY_OPTIONS[@]}" $OPTIONS </dev/null >"$DIR/check.json" ||
			fail "check: $(tail -n 1 "$DIR/check.json")"
		# shellcheck disable=SC2086
		move a "$to" "${FERRY_OPTIONS[@]}" $OPTIONS
		read -r load _ </proc/loadavg
		python3 -S - "$DIR/check.json" "$DIR/move.json" "$shape" "$load" "$DIR/figures" <<-'END'
			import json, sys
			of = lambda path, kind: [e for e in map(json.loads, open(path)) if e["event"] == kind][-1]
			said, real = of(sys.argv[1], "estimate"), of(sys.argv[2], "result")
			s, mb = (said["total_s"], real["total_ms"] / 1e3), (said["bytes_wire"] / 1e6, real["bytes_wire"] / 1e6)
			print("%-5s  %5s  %5.2f -> %5.2f %.2f  %6.1f -> %6.1f %.2f  %s" % (*sys.argv[3:5], *s, s[1] / s[0], *mb, mb[1] / mb[0], said["limited_by"]), flush=True)
			print(s[1] / s[0], mb[1] / mb[0], file=open(sys.argv[5], "a"))
		END
		guest_stop a
		rm -rf "$TO" "$DIR"/src/a.* "$DIR/half"
	done
done
python3 -S - "$DIR/figures" <<-'END'
	import sys
	from statistics import median
	for name, ratios in zip(("seconds", "bytes"), zip(*(map(float, line.split()) for line in open(sys.argv[1])))):
	    print("{}: within 25 %: {} of {}; real over said, at the median: {:.2f}".format(name, sum(0.75 <= r <= 1.25 for r in ratios), len(ratios), median(ratios)))
END
