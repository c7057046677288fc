#!/bin/bash
# docs/vmferry-dst.service on a host with systemd: a guest moves to it, into a scope of its own, goes on when the unit is restarted
# and when it is stopped, and moves on from there to the next one. A scope starts nothing again, and nothing is left of it.
WHOLE_HOST=1
. "$(dirname "$0")/../../lib/systemd.sh"

standing() {
	grep -q '^listening on' "$DIR/dst.out" 2>/dev/null
}

unit_guest a vm-a.service # not in this test's own unit, which would be stopped as the one that starts the guest
(umask 077 && echo "host-a:$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')" >"$DIR/psk")
cp "$TOP/docs/vmferry-dst.service" "$UNITS/"
mkdir "$UNITS/vmferry-dst.service.d" && mkdir -m 700 "$DIR/dst-state"
cat >"$UNITS/vmferry-dst.service.d/test.conf" <<-DROPIN
	[Unit]
	AssertPathExists=
	AssertPathExists=$DIR/psk
	[Service]
	ExecStart=
	ExecStart=$BIN/vmferry-dst --listen 127.0.0.1:0 --psk-file $DIR/psk --state-dir $DIR/dst-state
	StateDirectory=
	StandardOutput=truncate:$DIR/dst.out
DROPIN
systemctl daemon-reload
systemctl start vmferry-dst.service
wait_for 60 standing || fail "it does not listen: $(systemctl status vmferry-dst.service 2>&1 | tail -n 5)"
DEST=$(sed -n 's/^listening on //p' "$DIR/dst.out")

move a "$DEST" --psk-file "$DIR/psk"
scope() { # prints the guest's
	sed -n 's,^0::/system.slice/\(vmferry-a-[0-9]*\.scope\)$,\1,p' "/proc/${GUEST_PID[a]}/cgroup"
}
first=$(scope)
[[ -n $first ]] || fail "the guest is in $(<"/proc/${GUEST_PID[a]}/cgroup")"
[[ " $(show Before "$first") " == *" vmferry-guests.target "* ]] || fail "at shutdown it would end before it can be moved: $(show Before "$first")"
assert_eq "$(sed -n 's/^Seccomp:\t//p' "/proc/${GUEST_PID[a]}/status")" 2 "seccomp of the guest's QEMU"
rm "$DIR/dst.out" # earlier messages are not repeated
systemctl restart vmferry-dst.service
wait_for 60 standing || fail "it does not listen again"
guest_verify "$(orders a)" blocks

DEST=$(sed -n 's/^listening on //p' "$DIR/dst.out")
move a "$DEST" --psk-file "$DIR/psk"
assert_result 'r["disabled"] == []'
assert_result 'not any("unit" in note for note in notices)' "notices about units"
[[ -n $(scope) && $(scope) != "$first" ]] || fail "the guest is in $(<"/proc/${GUEST_PID[a]}/cgroup")"
is_forgotten() { [[ $(show LoadState "$first") == not-found ]]; }
wait_for 60 is_forgotten || fail "the scope of the guest that moved on is $(show LoadState "$first")"
systemctl stop vmferry-dst.service
assert_eq "$(show ActiveState vmferry-dst.service)" inactive "the unit"
guest_verify "$(orders a)" blocks
