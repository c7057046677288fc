#!/bin/bash
# After every move the destination has NAME.sh, which starts the guest again with its disk; a file of that name that is
# somebody else's stays what it is. The report says so, and which files of the source may be deleted.
# tier: gate
. "$(dirname "$0")/../lib/aftermath.sh"

guest_a
mkdir -p "$DIR/d1"
echo "somebody else's" >"$DIR/d1/a.sh"
move a local
assert_eq "$(result 'r["start_script"]')" "$TO/a-2.sh"
assert_eq "$(cat "$TO/a.sh")" "somebody else's" "a file that was there before"
assert_eq "$(result 'plan["afterwards"][0]')" "what starts the guest again there: $TO/a-2.sh"
assert_result '"unit" not in r and "nothing starts the guest by itself" in r["after_reboot"]'
assert_eq "$(result 'r["deletable"][0]["path"]')" "$DIR/a.raw"
assert_result "r['deletable'][0]['bytes'] == $(allocated "$DIR/a.raw")"
guest_verify "$(orders a)" blocks

guest_stop a
rm "$TO/a.console"
"$TO/a-2.sh" </dev/null >"$DIR/again.log" 2>&1 &
guest_adopt a $!
ready() { grep -aqs '^witness ready' "$TO/a.console"; }
wait_for 60 ready || fail "the script does not start the guest: $(cat "$DIR/again.log")"
[[ $(readlink "/proc/${GUEST_PID[a]}/exe") == */qemu-system-* ]] || fail "the script does not become QEMU"
guest_verify "$(orders a)" blocks
