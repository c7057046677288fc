#!/bin/bash
# Programs in hooks/before.d hear the plan, and may refuse; those in after.d and failed.d hear the result. A check asks none. What others could have written
# is not run, and nothing begins beside it. A storage command, an export and a guest that is shut down have the same hooks.
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

hook() { # KIND NAME: standard input is what it does
	mkdir -p "$VMFERRY_HOOKS/$1.d"
	{ echo '#!/bin/sh'; cat; } >"$VMFERRY_HOOKS/$1.d/$2"
	chmod 755 "$VMFERRY_HOOKS/$1.d/$2"
}

heard() { # FILE PYTHON-EXPRESSION over e, the event
	python3 -c 'import json, sys; e = json.load(open(sys.argv[1])); assert eval(sys.argv[2]), e' "$DIR/$1" "$2" || fail "$1: $2 is not so: $(<"$DIR/$1")"
	rm "$DIR/$1"
}

export VMFERRY_HOOKS=$DIR/hooks
hook before 10-write <<<"cat >'$DIR/before'; echo \"\$VMFERRY_GUEST \$VMFERRY_DESTINATION \$VMFERRY_KIND\" >'$DIR/words'"
hook before 20-window <<<"[ -e '$DIR/window' ] || { echo first; echo 'no moves before 3:00'; exit 7; }"
hook after 10-write <<<"cat >'$DIR/after'"
hook failed 10-write <<<"cat >'$DIR/failed'"
hook failed x.dpkg-old <<<"touch '$DIR/old'"
hook before 05-forgotten <<<"touch '$DIR/old'"
hook failed 05-forgotten <<<"touch '$DIR/old'"
chmod -x "$VMFERRY_HOOKS"/{before,failed}.d/05-forgotten
truncate -s 1M "$DIR/a.raw"
MEM=32 WITNESS="ram_mb=4 rate=100" tiny_start a $(guest_drive d0 "$DIR/a.raw" raw) $(second_monitor a)

move_refused "hooks/before.d/20-window says no (exit code 7): no moves before 3:00" local
assert_nothing_left
heard before 'e["event"] == "plan" and e["guest"] == "a" and e["how"] == "live"'
assert_eq "$(<"$DIR/words")" "a local live" "what the hook's environment says"
heard failed 'e["outcome"] == "refused" and e["exit_code"] == 3'
wait_event 'ev["event"] == "notice" and ev["text"].endswith("/before.d/05-forgotten is not executable, and was not run (chmod +x)")' >/dev/null
grep -q 'vmferry: .*/failed.d/05-forgotten is not executable' "$DIR/move.log" || fail "nobody is told: $(<"$DIR/move.log")"
[[ ! -e $DIR/old && ! -e $DIR/after ]] || fail "a hook ran that must not"
mkdir "$DIR/checked"
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/checked" >/dev/null || fail "a check asks hooks"
vmferry check "${GUEST_PID[a]}" local --disk-dir "$DIR/no/where" >/dev/null 2>&1 && fail "it can go nowhere"
[[ ! -e $DIR/before && ! -e $DIR/after && ! -e $DIR/failed ]] || fail "a check has run a hook"
status=0
vmferry storage "${GUEST_PID[a]}" --disk "a.raw=$DIR/other.raw" </dev/null >"$DIR/said" 2>&1 || status=$?
assert_eq "$status" 3 "storage: $(<"$DIR/said")"
heard before 'e["how"].startswith("storage")'
rm "$DIR/failed"
status=0
vmferry export "${GUEST_PID[a]}" "$DIR/bundle" </dev/null >"$DIR/said" 2>&1 || status=$?
[[ $status -ne 0 && ! -e $DIR/bundle/manifest.json ]] || fail "an export asks no hook: $(<"$DIR/said")"
heard before 'e["how"] == "export"'
rm "$DIR/failed"

chmod 777 "$VMFERRY_HOOKS/before.d"
touch "$DIR/window"
move_refused 'hooks/before.d must be writable by you alone' local
chmod 755 "$VMFERRY_HOOKS/before.d"
chmod 777 "$VMFERRY_HOOKS/before.d/20-window"
move_refused '20-window must be writable by you alone' local
chmod 755 "$VMFERRY_HOOKS/before.d/20-window"
rm -f "$DIR/before" "$DIR/failed"
move a local
guest_verify "$(orders a)" >/dev/null
heard after 'e["outcome"] == "migrated" and e["destination_pid"] > 0'
[[ ! -e $DIR/failed ]] || fail "it has not failed"

# An end is what it is, whatever a hook says of it.
hook after 10-write <<<"exit 1"
move a local
grep -q 'a hook has failed: .*/after.d/10-write says no' "$DIR/move.log" || fail "nobody is told: $(<"$DIR/move.log")"
