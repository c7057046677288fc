#!/bin/bash
# After every move the destination has NAME.sh, which starts the guest again with its disk; a file of that name that is
# somebody else's stays what it is. The report says so, and which files of the source may be deleted. When the guest leaves that host again, however, its script
# there has another name, and so it has not after a rollback. Back there it has one script: one that vmferry wrote and nobody has edited is replaced.
# timeout: 400
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/aftermath.sh"

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

# A script of somebody's own is named, and stays. Sockets and pidfile of the QEMU that was ended are removed, and nobody else's.
GUEST_AT[a]=$DIR/d1
HERE=$DIR/d1
printf '#!/bin/sh\nqemu-system-x86_64 -drive file=%s\n' "$HERE/a.raw" >"$HERE/start-a.sh"
printf '#!/bin/sh\ncd "$(dirname "$0")" || exit\nexec qemu-system-x86_64 -drive "file=./a.raw"\n' >"$HERE/beside.sh"
echo 1 >"$HERE/a.pid"
move_start a local --how live --bwlimit 2M
while_disks
"$BIN/vmferry" cancel --no-wait a >/dev/null
move_wait 1
assert_eq "$(cd "$HERE" && ls a-2.sh*)" a-2.sh "the script after a rollback"
go() { # DIRECTORY HOW [OPTION...]: as move, to that directory
	MOVES=$((${1#d} - 1))
	move_start a local --how "${@:2}"
	move_wait
}
go d2 live
WENT=$(echo "$HERE"/a-2.sh.moved-*)
[[ ! -e $HERE/a-2.sh && -e $WENT ]] || fail "the script has its name: $(ls "$HERE")"
assert_result "{'from': '$HERE/a-2.sh', 'to': '$WENT'}.items() <= r['set_aside'].items()"
for name in start-a beside; do
	assert_result "all(any('$HERE/$name.sh, which vmferry did not write' in x for x in e['warnings']) for e in (plan, r))"
done
assert_eq "$(cd "$HERE" && ls | xargs)" "a-2.sh.moved-${WENT##*-} a.console a.pid a.raw a.sh beside.sh start-a.sh" "what is left there"
rm "$HERE/a.raw" "$HERE/start-a.sh" "$HERE/beside.sh"

go d1 quick
assert_eq "$(result 'r["start_script"]')" "$HERE/a-2.sh"
assert_eq "$(cd "$HERE" && ls ./*.sh* | xargs)" "./a-2.sh ./a.sh" "scripts there"
assert_eq "$(cat "$HERE/a.sh")" "somebody else's" "a file that was there before"
[[ ! -e $DIR/d2/a.sh ]] || fail "the script has its name after a quick move"

# A script of an older vmferry under the guest's name is replaced, and an edited script is not; nor is another guest's.
rm "$DIR/d2/a.raw"
mv "$DIR"/d2/a.sh.moved-* "$DIR/d2/a.sh"
go d2 warm --force --shutdown-timeout 1
assert_eq "$(cd "$DIR/d2" && ls ./*.sh* | xargs)" "./a.sh" "scripts there"
go d3 live
mv "$DIR"/d2/a.sh.moved-* "$DIR/d2/a.sh"
sed -i 's/-m 256/-m 257/' "$DIR/d2/a.sh"
SUM=$(sha256sum <"$DIR/d2/a.sh")
rm "$DIR/d2/a.raw"
go d2 live
assert_eq "$(sha256sum <"$DIR/d2/a.sh")" "$SUM" "a script that somebody has edited"
assert_eq "$(result 'r["start_script"]')" "$DIR/d2/a-2.sh"
go d4 live
assert_eq "$(sha256sum <"$DIR/d2/a.sh")" "$SUM" "a script that somebody has edited"
assert_result "any('$DIR/d2/a.sh, which vmferry did not write' in x for x in r['warnings'])"
guest_verify "$(orders a)" blocks
