#!/bin/bash
# timeout: 1200
# Every workload of the bench survives being moved by vmferry and by QEMU's own migration.
. "$(dirname "$0")/../lib/bench.sh"

small_bench --links 1gbit --mem 512M --disks 2 --disk 512M --disk-data 256M --repeat 1 --tools multifd,vmferry -o "$RUN" --workloads \
	idle,writer,writer=8000,hot,disk,cache,churn,compressible,incompressible,database
assert_run 'len(moves) == 40 and all(m["outcome"] == "ok" for m in moves)'
# 80 % would be 248 MiB, and the first disk holds 192.
assert_run '{m["cached_percent"] for m in moves if m["workload"] in ("idle", "writer", "hot", "disk", "database")} == {62}'
assert_run 'all(m["cached_percent"] == 50 for m in moves if m["workload"] in ("cache", "churn"))'
