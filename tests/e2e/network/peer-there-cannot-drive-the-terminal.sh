#!/bin/bash
# A destination whose plan is of control characters, or of the wrong kinds: a dry run and its script neither crashes nor prints them, and the
# script is still one for sh.
# takes: 20
. "$(dirname "$0")/../../lib/aftermath.sh"

echo -n secret >"$DIR/key"
guest_disk "$DIR/a.raw" raw 16M
# no operating system runs in this guest: it need not boot
"$QEMU" -accel tcg -m 64 -display none -nodefaults -name a -object secret,id=s0,file="$DIR/key" -qmp "unix:$DIR/a.qmp,server=on,wait=off" \
	$(guest_drive d0 "$DIR/a.raw" raw) </dev/null >"$DIR/a.stderr" 2>&1 &
guest_adopt a $!
wait_for 60 eval 'qmp "$DIR/a.qmp" "{\"execute\": \"query-status\"}" >/dev/null 2>&1' || fail "QEMU does not answer: $(<"$DIR/a.stderr")"

(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$VMFERRY_STATE_DIR/token")
plan() { # PLAN, ARGUMENT...: status and what is said
	listener greedy.py secret "$(<"$VMFERRY_STATE_DIR/token")" "$1"
	shift
	STATUS=0
	vmferry migrate --dry-run "${GUEST_PID[a]}" "$LISTENER_ADDRESS" --disk-dir "$DIR" "$@" >"$DIR/out" 2>"$DIR/err" || STATUS=$?
	wait_for 60 process_is_gone "$LISTENER" || fail "the connection does not end"
	! LC_ALL=C grep -q $'[\001-\010\013-\037\177]\|\302[\200-\237]' "$DIR/out" "$DIR/err" ||
		fail "a control character was printed: $(cat -v "$DIR/out" "$DIR/err")"
}

(umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$VMFERRY_STATE_DIR/token")
evil='\u001b[2J\u007f\u009b2J'
evil_plan="{\"carry\": [], \"argv\": [\"/bin/$evil\", \"a\\nb\"], \"disks\": [{\"object\": 1, \"path\": \"/x/$evil\"}], \"notes\": [\"$evil\\nvmferry: moved\"]"
evil_plan+=", \"files\": [{\"role\": \"script\", \"to\": \"/bin/$evil\"}, {\"role\": 3}], \"findings\": [\"$evil\"], \"nics\": [{\"netdev\": \"$evil\", \"type\": \"$evil\", \"mac\": \"$evil\"}], \"start_script\": \"$evil\"}"
plan "$evil_plan" --script
assert_eq "$STATUS" 0 "exit code: $(cat -v "$DIR/err")"
sh -n "$DIR/out" || fail "no script: $(<"$DIR/out")"
grep -q '/bin/?\[2J' "$DIR/out" || fail "the command line is missing: $(<"$DIR/out")"
# quoted characters come back byte for byte
sed 's/^exec vmferry/printf "%s\\n"/' "$DIR/out" | sh | grep -qF $'=/x/\033[2J\177\302\2332J' || fail "the disk's path: $(<"$DIR/out")"

plan "$evil_plan"
assert_eq "$STATUS" 0 "exit code: $(cat -v "$DIR/err")"
grep -q '^  runs     /bin/?\[2J???2J$' "$DIR/out" || fail "the program is not shown: $(<"$DIR/err")"
! grep -q '^vmferry: moved' "$DIR/err" "$DIR/out" || fail "a forged line: $(<"$DIR/out")"
plan "$evil_plan" --json
python3 -S -c 'import json, sys
plan = json.loads(open(sys.argv[1]).readline())
sys.exit("\u009b" not in json.dumps(plan, ensure_ascii=False))' "$DIR/out" || fail "the plan as JSON: $(<"$DIR/out")"

for odd in '"argv": [1]' '"notes": {"a": "b"}' '"disks": [7]'; do
	plan "{$odd}" --script
	assert_eq "$STATUS" 3 "exit code with $odd"
	grep -q "the destination's plan is malformed" "$DIR/err" || fail "with $odd it says: $(<"$DIR/err")"
done
