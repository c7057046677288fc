#!/bin/bash
# Eight disks of 1 TB, with 20,000 pieces of data all over each: they arrive, as sparse as they were, and of the blackout nothing grows with them.
. "$(dirname "$0")/../lib/move.sh"

pieces() { # write|check FILE
	python3 -S - "$1" "$2" <<-'END'
		import os, sys
		do, path = sys.argv[1:]
		size, pieces = 10**12, 20000
		step = size // pieces // 4096 * 4096
		content = lambda i: b"%16d" % i * 256
		f = os.open(path, os.O_CREAT | os.O_RDWR)
		if do == "write":
		    os.ftruncate(f, size)
		    for i in range(pieces):
		        os.pwrite(f, content(i), i * step)
		    os.fsync(f)
		at = i = 0
		while do == "check" and i < pieces:
		    if os.lseek(f, at, os.SEEK_DATA) != i * step or os.pread(f, 4096, i * step) != content(i):
		        sys.exit(f"{path}: piece {i} is not where it was, or not what it was")
		    at = os.lseek(f, i * step, os.SEEK_HOLE)
		    if at != i * step + 4096:
		        sys.exit(f"{path}: piece {i} has {at - i * step} bytes")
		    i += 1
	END
}

drives=()
for i in 0 1 2 3 4 5 6 7; do
	pieces write "$DIR/d$i.raw"
	drives+=($(guest_drive "x$i" "$DIR/d$i.raw" raw))
done
WITNESS="ram_mb=64 rate=0" guest_start a "${drives[@]}"
move a local --recheck off
# the first images were written by others, with room set aside beside each piece: of the second move all is ours
move a local --recheck off
result '"%.0f ms, of these QEMU: %.0f its last pass, %.0f to load devices; predicted %.0f" % tuple(r["downtime_ms"][k] for k in ("total", "ram", "device_state", "predicted"))'
assert_result 'r["downtime_ms"]["ram"] < 20 and r["downtime_ms"]["disk"] < 15'
guest_verify "$(orders a)"
for i in 0 1 2 3 4 5 6 7; do pieces check "$TO/d$i.raw"; done
