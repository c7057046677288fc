#!/bin/bash
# --bwlimit is kept, and `vmferry set VM bwlimit=` takes effect while the move runs. By itself it compresses as over a network of that rate.
. "$(dirname "$0")/../../lib/move.sh"
. "$TOP/tests/lib/tiny.sh"

[[ $(id -u) -eq 0 ]] || skip "only root can see which connections are an agent's"

sent() { # prints how many bytes vmferry has sent over its connections, as the kernel counts them
	ss -HOtnip state established | grep "pid=$MOVE_PID," | grep -o ' bytes_sent:[0-9]*' | awk -F: '{ n += $2 } END { print n + 0 }'
}

has_sent() { # BYTES
	[[ $(sent) -ge $1 ]]
}

ram_left() {
	vmferry status "${GUEST_PID[a]}" --json | python3 -S -c 'import json, sys; print(json.load(sys.stdin)["ram_left"])'
}

MEM=256 WITNESS="ram_mb=160" tiny_start a
begin=$(date +%s%N)
move_start a local --bwlimit 4M --codec none
wait_for 60 is_moving_with a 's["ram_round"] >= 1 and s["ram_left"] > 0' || fail "RAM is not copied"
wait_event 'ev["event"] == "progress" and 0 < ev["rate_bps"] < 24e6' >/dev/null
left=$(ram_left)
s=$((($(date +%s%N) - begin) / 1000000000 + 1))
[[ $left -gt $((160 - 4 * s - 8 << 20)) ]] || fail "only $left bytes are left after $s s at 4 MiB/s"
# 20 MiB more take five seconds, less what was reserved before; a busy machine only makes it longer
from=$(sent)
since=$EPOCHREALTIME
wait_for 60 has_sent $((from + (20 << 20))) || fail "it sends no more: $(sent) bytes"
python3 -S -c 'import sys; sys.exit(not float(sys.argv[2]) - float(sys.argv[1]) > 4)' "$since" "$EPOCHREALTIME" ||
	fail "it sends more than 4 MiB/s"
left=$(ram_left)
vmferry set "${GUEST_PID[a]}" bwlimit=0
MOVE_S=$((left / (4 << 20))) move_wait # the time that the rest would take at 4 MiB/s
guest_verify "$(orders a)"

move_start a local --bwlimit 4M
wait_event 'ev["event"] == "progress" and ev["codec"] == "zstd"' 120 >/dev/null
vmferry set "${GUEST_PID[a]}" bwlimit=0
move_wait
guest_verify "$(orders a)"
