#!/bin/bash
# vmferry-drain@.service, as installed: to stop it moves nothing; when its systemd shuts down guests go to another host before their own units end. It
# is a unit that systemd finds nothing wrong with.
. "$(dirname "$0")/../../lib/systemd.sh"

install_unit() { # FILE AS: of a user's manager, which is asked in place of the system's, and with this vmferry
	mkdir -p "$(dirname "$UNITS/$2")"
	sed "s|systemctl is-|systemctl --user is-|; s|/usr/local/bin|$BIN|; s|/bin/true|$(command -v true)|" "$TOP/docs/$1" >"$UNITS/$2"
}

manager_start
install_unit vmferry-drain@.service vmferry-drain@.service
install_unit vmferry-guests.target vmferry-guests.target
DST_ON=(unshare --user --map-current-user --pid --fork --kill-child --mount-proc) # another host, as a drain goes to no address of this one
"${DST_ON[@]}" true 2>/dev/null || skip "namespaces cannot be made here"
to_listener
mkdir -p "$DIR/there" "$UNITS/vmferry-drain@.service.d"
printf '[Service]\nEnvironment="DRAIN_OPTIONS=--disk-dir %s/there --json"\nStandardOutput=append:%s/move.json\nStandardError=append:%s/move.log\n' "$DIR" "$DIR" "$DIR" \
	>"$UNITS/vmferry-drain@.service.d/test.conf"
systemd-analyze --user --man=no verify "$UNITS/vmferry-drain@.service" "$UNITS/vmferry-guests.target" 2>"$DIR/said" || fail "systemd-analyze: $(<"$DIR/said")"
[[ ! -s $DIR/said ]] || fail "systemd-analyze: $(<"$DIR/said")"
unit_guest a vm-a.service
sed -i '1i [Unit]\nBefore=vmferry-guests.target' "$UNITS/vm-a.service"
systemctl --user daemon-reload
drain=vmferry-drain@$DEST.service
systemctl --user start "$drain"
assert_eq "$(show ActiveState vmferry-guests.target)" active "the target"

systemctl --user stop "$drain"
runs_here a || fail "to stop the unit has done something to the guest"
[[ -z $(ls -A "$DIR/there") ]] || fail "to stop the unit has moved: $(ls "$DIR/there")"
systemctl --user start "$drain"

TO=$DIR/there
manager_stop
MANAGER=
[[ -e $DIR/move.json ]] || fail "nothing was drained: $(tail -n 20 "$DIR/manager.log")"
grep -q '"outcome":"migrated"' "$DIR/move.json" || fail "the guest has not gone: $(tail -n 1 "$DIR/move.json")"
guest_is_there
guest_verify "$(orders a)" blocks
