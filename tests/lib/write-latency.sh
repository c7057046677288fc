# shellcheck shell=bash
# For measurements of how long a guest's writes take, by QEMU's own histogram; to be sourced after replica.sh.
#
#   histogram begin|tell      of the disk that is written everywhere (d2): begins a new one, or prints it
#   latencies FILE            prints what the histograms in FILE say together: p50, p99, p99.9 and the slowest (upper bounds of bins, each a tenth above the one before)

HISTOGRAM='
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); f = s.makefile("rw")
def ask(command, **arguments):
    f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n"); f.flush()
    while True:
        said = json.loads(f.readline())
        if "error" in said: sys.exit(str(said["error"]))
        if "return" in said: return said["return"]
f.readline(); ask("qmp_capabilities")
row = [r for r in ask("query-blockstats") if r["device"] == "d2"][0]
if sys.argv[2] == "begin":
    ask("block-latency-histogram-set", id=row["qdev"])
    ask("block-latency-histogram-set", id=row["qdev"], **{"boundaries-write": [int(20000 * 1.1 ** i) for i in range(140)]})
else:
    print(json.dumps(row["stats"]["wr_latency_histogram"]))
'

histogram() {
	python3 -S -c "$HISTOGRAM" "$DIR/$A.mon" "$1"
}

latencies() {
	python3 -S - "$1" <<-'END'
		import json, sys
		all = [json.loads(line) for line in open(sys.argv[1])]
		bounds, bins = all[0]["boundaries"], [sum(b) for b in zip(*(h["bins"] for h in all))]
		n = sum(bins)
		assert n > 1000, f"{n} writes only"
		def at(part):
		    had = 0
		    for i, b in enumerate(bins):
		        had += b
		        if had >= part * n: return bounds[min(i, len(bounds) - 1)] / 1e6
		print("%d writes: p50 %.2f ms, p99 %.2f ms, p99.9 %.2f ms, slowest %.1f ms" % (n, at(.5), at(.99), at(.999), at(1)))
	END
}
