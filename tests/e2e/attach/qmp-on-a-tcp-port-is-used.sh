#!/bin/bash
# A guest whose QMP monitor is on a TCP port is asked there: whether the port is written with -qmp or as a character device. A port that is on its line, and at
# which another process listens, is not even connected to.
# tier: gate
. "$(dirname "$0")/../../lib/move.sh"
. "$(dirname "$0")/../../lib/tiny.sh"

free_port() {
	python3 -S -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

answered() { # NAME
	vmferry list "${GUEST_PID[$1]}" --json | python3 -S -c 'import json, sys
g = json.load(sys.stdin)["guests"][0]
assert g["monitor"] == "answered" and g["qmp"] == sys.argv[1], (g["monitor"], g.get("qmp"))' "tcp:$PORT" || fail "$1 is not asked at its port $PORT"
}

guest_disk "$DIR/a.raw" raw 16M
PORT=$(free_port)
NO_QMP=yes MEM=64 WITNESS="ram_mb=8 rate=0" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) -qmp "tcp:localhost:$PORT,server=on,wait=off"
answered a
vmferry export "${GUEST_PID[a]}" "$DIR/bundle" --freeze off >"$DIR/export" 2>&1 || fail "it is not exported: $(cat "$DIR/export")"
end_process "${GUEST_PID[a]}"

PORT=$(free_port)
NO_QMP=yes MEM=64 WITNESS="ram_mb=8 rate=0" tiny_start b $(guest_drive d0 "$DIR/a.raw" raw) -chardev "socket,id=q,host=127.0.0.1,port=$PORT,server=on,wait=off" -mon chardev=q,mode=control
answered b
end_process "${GUEST_PID[b]}"

# --- another's port --------------------------------------------------------------------------

PORT=$(free_port)
python3 -S - "$PORT" >"$DIR/heard" <<-'END' &
	import socket, sys
	s = socket.socket()
	s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	s.bind(("127.0.0.1", int(sys.argv[1])))
	s.listen()
	print("listens", flush=True)
	s.accept()
	print("somebody has connected", flush=True)
END
kill_at_exit $!
wait_for 60 grep -q listens "$DIR/heard" || fail "nobody listens"
(exec -a qemu-system-x86_64 python3 -S -c 'import time; time.sleep(1000)' -name other -qmp "tcp:127.0.0.1:$PORT,server=on,wait=off") &
OTHER=$!
kill_at_exit "$OTHER"
wait_for 60 grep -q qemu-system "/proc/$OTHER/cmdline" || fail "there is no such process"
vmferry list "$OTHER" --json >"$DIR/list" || true
grep -q '"monitor": *"silent"' "$DIR/list" || fail "list says: $(cat "$DIR/list")"
grep -q connected "$DIR/heard" && fail "another process was connected to"
exit 0
