#!/bin/bash
# While the primary lives each point tells whether the guest would start at the replica's host: what is in the way is shown at both hosts, is a warning that hooks hear
# of, and keeps no point from being made.
# timeout: 300
. "$(dirname "$0")/../../lib/replica.sh"

export VMFERRY_HOOKS=$DIR/hooks
mkdir -p "$DIR/hooks/replica.d"
cat >"$DIR/hooks/replica.d/note" <<END
#!/bin/sh
echo "\$VMFERRY_GUEST \$VMFERRY_KIND \$VMFERRY_HEALTH_BEFORE \$VMFERRY_HEALTH" >>"$DIR/heard"
cat >"$DIR/heard.json"
END
chmod -R go-w "$DIR/hooks"
chmod +x "$DIR/hooks/replica.d/note"

of_replica() { # EXPRESSION over r, what the replica's host knows
	replica status "$A" --json | python3 -S -c 'import json, sys
r = [x for x in json.load(sys.stdin) if x["role"] == "replica"][0]
print(eval(sys.argv[1]))' "$1"
}

# a minute goes by, after which a point asks again
ages() {
	python3 -S - "$VMFERRY_STATE_DIR/replica/$A.json" <<-'END'
		import json, sys
		o = json.load(open(sys.argv[1]))
		o["planned_at"] -= 60
		json.dump(o, open(sys.argv[1], "w"))
	END
}

replica_start
replica_add
assert_eq "$(of_primary 'p["would_start"]["start"], p["would_start"]["why"], p["health"], p["health_why"]')" "(True, [], 'normal', [])" "what is known at first"
assert_eq "$(of_replica 'r["would_start"]["start"]')" True "what the replica's host knows"
replica status "$A" >"$DIR/out"
says 'would start there: yes' "$DIR/out"
says 'would start here: yes' "$DIR/out"

# something of its name is where what starts it is to be
echo >"$THERE/$A.sh"
ages
sync
says 'the guest would not start there as things are: .*is there already' "$DIR/sync.json"
assert_eq "$(of_primary 'p["point"], p["would_start"]["start"], p["health"], p["exit_code"]')" "(2, False, 'warning', 0)" "what the primary knows"
replica list >"$DIR/out"
says 'would start there: no' "$DIR/out"
says "$A.sh is there already" "$DIR/out"
vmferry jobs --metrics >"$DIR/out"
says 'vmferry_replica_would_start{guest="'"$A"'",role="primary",peer="local"} 0' "$DIR/out"
says 'vmferry_replica_points_made_total{guest="'"$A"'",role="primary",peer="local"} 2' "$DIR/out"
rm "$THERE/$A.sh"
sync
assert_eq "$(of_primary 'p["would_start"]["start"], p["health"]')" "(True, 'normal')" "what the primary knows afterwards"

# the guest would start, and could not stay for want of room: that is reported, and no more
ages
VMFERRY_FAULT=dst-no-room-to-stay:fail sync
replica status "$A" >"$DIR/out"
says 'would start there: yes' "$DIR/out"
says 'no room, as was asked for' "$DIR/out"
ages
assert_eq "$(cat "$DIR/heard")" "$A replica none normal
$A replica normal warning
$A replica warning normal" "what the hook has heard"
grep -q '"health": *"normal"' "$DIR/heard.json" || fail "the hook has read: $(cat "$DIR/heard.json")"

# the outcome of each attempt is kept, and no move is pushed out of the history by them
assert_eq "$(of_primary '[(h["point"], h["exit_code"], h["whole"]) for h in p["history"]]')" "[(1, 0, True), (2, 0, False), (3, 0, False), (4, 0, False)]" "its history"
assert_eq "$(vmferry history --json)" "" "history of moves"
replica status "$A" --json >"$DIR/status.json"
vmferry report "$DIR/status.json" -o "$DIR/status.html" 2>"$DIR/err" || fail "report: $(cat "$DIR/err")"
says 'As its primary knows it' "$DIR/status.html"

# a person who makes points by hand is told once, and where they go
echo >"$THERE/$A.sh"
ages
replica sync "$A" >"$DIR/out" 2>&1 || fail "sync: $(cat "$DIR/out")"
says 'would not start there as things are: .*is there already' "$DIR/out"
says "disk .*/$A.c .* -> $STORE\$" "$DIR/out"
replica sync "$A" >"$DIR/out" 2>&1 || fail "sync: $(cat "$DIR/out")"
! grep 'would not start there' "$DIR/out" || fail "what is known is told again"
replica sync "$A" -v >"$DIR/out" 2>&1 || fail "sync: $(cat "$DIR/out")"
says 'would not start there as things are: .*is there already' "$DIR/out"
says "disk .*/$A.c: raw, 1 rounds" "$DIR/out"
