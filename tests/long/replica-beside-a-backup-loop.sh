#!/bin/bash
# replica-beside-a-backup-loop.sh [ROUNDS (20)] [SECONDS (10)]: points of a busy guest's replica beside incremental backups by QEMU itself, as a loop of backups makes them: a
# bitmap of 64 KiB a disk, and in one transaction a blockdev-backup of each to a qcow2 image behind an NBD server. By turns, each after SECONDS of writes; prints
# what either has sent, how long it took, and how long the guest's writes took meanwhile. The newest point is compared with the guest's disks at the end.
# timeout: 10800
. "$(dirname "$0")/../lib/replica.sh"
. "$(dirname "$0")/../lib/write-latency.sh"

rounds=${1:-20} seconds=${2:-10}

BACKUP='
import json, os, socket, subprocess, sys, time
monitor, there, qemu_img, qemu_nbd, number = sys.argv[1:6]
s = socket.socket(socket.AF_UNIX); s.connect(monitor); f = s.makefile("rw")
events = []
def read():
    said = json.loads(f.readline())
    if "event" in said: events.append(said)
    return said
def ask(command, **arguments):
    f.write(json.dumps({"execute": command, "arguments": arguments}) + "\n"); f.flush()
    while True:
        said = read()
        if "error" in said: sys.exit(command + ": " + said["error"]["desc"])
        if "return" in said: return said["return"]
f.readline(); ask("qmp_capabilities")
disks = [(d["device"], d["inserted"]["node-name"], d["inserted"]["image"]["virtual-size"]) for d in ask("query-block") if d.get("inserted") and d["device"].startswith("d")]
first = number == "0"
actions, servers = [], []
for name, node, size in disks:
    image, at = f"{there}/{name}.{number}.qcow2", f"{there}/{name}.nbd"
    subprocess.run([qemu_img, "create", "-q", "-f", "qcow2", image, str(size)], check=True)
    servers.append(subprocess.Popen([qemu_nbd, "-f", "qcow2", "-k", at, "-x", name, image]))
    while not os.path.exists(at): time.sleep(0.001)
began = time.monotonic()
for name, node, size in disks:
    ask("blockdev-add", **{"driver": "nbd", "node-name": "to-" + name, "export": name, "server": {"type": "unix", "path": f"{there}/{name}.nbd"}})
    if first: actions.append({"type": "block-dirty-bitmap-add", "data": {"node": node, "name": "loop"}})
    actions.append({"type": "blockdev-backup", "data": {"device": node, "target": "to-" + name, "job-id": "job-" + name, "sync": "full" if first else "incremental",
                    **({} if first else {"bitmap": "loop"})}})
ask("transaction", actions=actions)
done = lambda: [e for e in events if e["event"] == "BLOCK_JOB_COMPLETED"]
while len(done()) < len(disks): read()
for e in done():
    if "error" in e["data"]: sys.exit(e["data"]["error"])
for name, node, size in disks: ask("blockdev-del", **{"node-name": "to-" + name})
took = time.monotonic() - began
for server in servers: server.wait(20)
print(json.dumps({"bytes": sum(e["data"]["offset"] for e in done()), "ms": took * 1000}))
'

backup() { # NUMBER
	python3 -S -c "$BACKUP" "$DIR/$A.mon" "$DIR/loop" "$QEMU_IMG" "${QEMU_IMG%/*}/qemu-nbd" "$1"
}

writes_for_a_while() { # to FILE what its writes took, a turn of WHAT included
	histogram begin
	read -rt "$seconds" <> <(:) || true # time is what is measured
	"${@:2}"
	histogram tell >>"$1"
}

point() {
	sync
	python3 -S -c 'import json, sys
r = json.load(sys.stdin)[0]["history"][-1]
print(json.dumps({"bytes": r["bytes_wire"], "ms": r["total_ms"], "written": r["delta_bytes"]}))' < <(replica status "$A" --json) >>"$DIR/points"
}

loop() {
	backup "$((++made))" >>"$DIR/loops"
}

mkdir "$DIR/loop"
REPLICA_RATE=100 replica_start
replica_add --keep 4
made=0
backup 0 >/dev/null
for ((i = 0; i < rounds; i++)); do
	writes_for_a_while "$DIR/with-points" point # each has what was written in two turns, the other's included
	writes_for_a_while "$DIR/with-loop" loop
done
writes_on
qmp "$DIR/$A.mon" '{"execute": "stop"}' >/dev/null
sync
assert_point_is_exact
python3 -S - "$DIR/points" "$DIR/loops" <<'END'
import json, statistics, sys
points, loops = ([json.loads(line) for line in open(f)] for f in sys.argv[1:3])
total = lambda rows, key: sum(r[key] for r in rows)
middle = lambda rows: statistics.median(r["ms"] for r in rows)
print("written, in blocks of 4 KiB: %.1f MB" % (total(points, "written") / 1e6))
print("points:  %.1f MB sent, %.2f of that; %.0f ms at the median" % (total(points, "bytes") / 1e6, total(points, "bytes") / total(points, "written"), middle(points)))
print("backups: %.1f MB sent, %.2f times what points have; %.0f ms" % (total(loops, "bytes") / 1e6, total(loops, "bytes") / total(points, "bytes"), middle(loops)))
END
echo "with points:  $(latencies "$DIR/with-points")"
echo "with backups: $(latencies "$DIR/with-loop")"
