#!/bin/bash
# A guest whose unit runs a script as vmferry's do is started by it from its new disk. One whose unit runs something else is not started from its
# old disk unnoticed: that has another name, and it is said which unit it is.
# timeout: 180
. "$(dirname "$0")/../../lib/systemd.sh"

moved() { # DISK FILE OPTION...
	"$BIN/vmferry" storage "${GUEST_PID[a]}" --disk "$1=$2" --json "${@:3}" >"$DIR/move.json" 2>"$DIR/move.log" || fail "$(tail -n 3 "$DIR/move.log" "$DIR/move.json")"
	guest_verify "$DIR/a.orders" blocks
}

mkdir "$DIR/new"
unit_guest a vm-a.service Restart=no
moved a.raw "$DIR/new/a.raw"
assert_result '"vm-a.service" in r["script_unknown"] and plan["old"] == "aside"'
[[ ! -e $DIR/a.raw ]] || fail "the old image has its name"
"${SYSTEMCTL[@]}" stop vm-a.service
"${SYSTEMCTL[@]}" start vm-a.service || true
wait_for 60 eval '[[ $(show ActiveState vm-a.service) == failed ]]' || fail "the unit starts the guest from its old disk"

mv "$DIR"/a.raw.moved-* "$DIR/a.raw"
mv "$DIR/a-start" "$DIR/a.sh"
sed -i "s|^ExecStart=.*|ExecStart=/bin/sh $DIR/a.sh|" "$UNITS/vm-a.service"
rm -f "$DIR"/a.{console,orders,qmp,mon} "$DIR/new/a.raw"
"${SYSTEMCTL[@]}" daemon-reload
"${SYSTEMCTL[@]}" reset-failed vm-a.service
"${SYSTEMCTL[@]}" start vm-a.service
unit_guest_adopt a
moved a.raw "$DIR/new/a.qcow2" --format qcow2
assert_result 'r["script"].endswith("/a.sh") and plan["old"] == "keep"'
rm -f "$DIR"/a.console
"${SYSTEMCTL[@]}" restart vm-a.service
unit_guest_adopt a
assert_eq "$(qmp "$DIR/a.mon" '{"execute": "query-block"}' | grep -o "$DIR/new/a.qcow2" | sort -u)" "$DIR/new/a.qcow2" "its disk"
assert_nothing_unfinished
