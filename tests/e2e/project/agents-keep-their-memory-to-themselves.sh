#!/bin/bash
# Neither agent of a user's is dumpable, so that nobody else of that user reads its memory; and the text of its key is not left there. Where one is
# started without standard input, output or error nothing of its own gets their numbers.
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

[[ $EUID -eq 0 ]] || skip "only root can look"
[[ ${VARIANT:-release} != [at]san ]] || skip "a sanitizer needs to trace its process"
let_others_come
chmod 711 "$DIR"
mkdir -m 755 "$DIR/bin"
install -m 755 "$BIN/vmferry-dst" "$BIN/vmferry" "$DIR/bin"
install -d -m 700 -o 65534 -g 65534 "$DIR/theirs"
echo "me:$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n')" >"$DIR/key"
install -m 600 -o 65534 -g 65534 "$DIR/key" "$DIR/theirs/key"

has_text() { # PID: whether its memory has the key's text
	python3 -S - "$1" "$(cut -d: -f2 "$DIR/key")" <<-'END'
		import re, sys
		found = False
		with open(f"/proc/{sys.argv[1]}/mem", "rb") as mem:
		    for line in open(f"/proc/{sys.argv[1]}/maps"):
		        start, end = (int(x, 16) for x in line.split()[0].split("-"))
		        if line.split()[1][0] == "r" and "[v" not in line:
		            mem.seek(start)
		            found |= sys.argv[2].encode() in mem.read(end - start)
		sys.exit(not found)
	END
}

listen() { # INPUT OPTION...
	: >"$DIR/out"
	setpriv --reuid=65534 --regid=65534 --clear-groups "$DIR/bin/vmferry-dst" --listen 127.0.0.1:0 --state-dir "$DIR/theirs/state" \
		--runtime-dir "$DIR/theirs/run" "${@:2}" <"$1" >"$DIR/out" 2>"$DIR/log" &
	agent=$!
	kill_at_exit "$agent"
	wait_for 60 grep -q '^listening on' "$DIR/out" || fail "the agent does not listen: $(<"$DIR/log")"
	assert_eq "$(stat -c %u "/proc/$agent/environ")" 0 "who owns its /proc"
	! has_text "$agent" || fail "the key's text is in the agent's memory (${*:2})"
}

listen /dev/null --psk-file "$DIR/theirs/key"
listen "$DIR/key" --psk-stdin --once
# a check of has_text itself: it would see the key
python3 -S -c 'import sys, time; key = open(sys.argv[1]).read(); open(sys.argv[2], "w").close(); time.sleep(1000)' "$DIR/key" "$DIR/ready" &
kill_at_exit $!
reader=$!
wait_for 60 test -e "$DIR/ready" || fail "no reader"
has_text "$reader" || fail "has_text sees nothing"

# The source agent, in whatever it does: it waits for a reader.
waits_for_its_reader() {
	[[ $(readlink "/proc/$source/exe") == "$DIR/bin/vmferry" && $(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$source/status") == S ]]
}
mkfifo "$DIR/full"
exec 5<>"$DIR/full"
head -c "$(python3 -S -c 'import fcntl; print(fcntl.fcntl(5, 1032))')" /dev/zero >&5 # F_GETPIPE_SZ
setpriv --reuid=65534 --regid=65534 --clear-groups "$DIR/bin/vmferry" help </dev/null >&5 2>"$DIR/log" &
source=$!
kill_at_exit "$source"
wait_for 60 waits_for_its_reader || fail "vmferry does not wait: $(<"$DIR/log")"
assert_eq "$(stat -c %u "/proc/$source/environ")" 0 "who owns the source agent's /proc"

# without 0, 1 and 2
leads_nowhere() { # PID
	local fd
	for fd in 0 1 2; do
		assert_eq "$(readlink "/proc/$1/fd/$fd")" /dev/null "descriptor $fd of $(tr '\0' ' ' <"/proc/$1/cmdline")"
	done
}
has_launched() {
	[[ -n $(pgrep -P "$agent" -x vmferry-launch) && -s $DIR/closed/token ]]
}
"$BIN/vmferry-dst" --listen 127.0.0.1:0 --state-dir "$DIR/closed" --runtime-dir "$DIR/closed-run" <&- >&- 2>&- &
agent=$!
kill_at_exit "$agent"
wait_for 60 has_launched || fail "the agent has not started its launcher"
leads_nowhere "$agent"
leads_nowhere "$(pgrep -P "$agent" -x vmferry-launch)"
status=0
"$BIN/vmferry" list nobody-is-called-so </dev/null >&- 2>&- || status=$?
assert_eq "$status" 1 "exit code of list without outputs"
