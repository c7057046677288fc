#!/bin/bash
# A unit that might start the guest again, and cannot be kept from it: refused in preflight, and nothing is touched.
# timeout: 120
. "$(dirname "$0")/../lib/systemd.sh"

refused() { # PATTERN [OPTION...]
	local before
	before=$(unit_as_it_is vm-a.service)
	move_start a local "${@:2}"
	move_wait 3
	[[ $(result 'r["reason"]') =~ $1 ]] || fail "the reason is: $(result 'r["reason"]')"
	assert_eq "$(unit_as_it_is vm-a.service)" "$before" "the unit"
	[[ -z $(ls -A "$TO") ]] || fail "left at the destination: $(ls -A "$TO")"
	guest_verify "$DIR/a.orders"
}

unit_guest a vm-a.service Restart=on-failure

# no right to write where drop-ins are kept
chmod a-w "$UNITS" "$UNITS"/*.d 2>/dev/null || chmod a-w "$UNITS"
refused 'vm-a\.service.*Restart=on-failure.*cannot be written'
chmod u+w "$UNITS"

# left alone on request, but not one that would restart it at once
refused 'unit keep is not possible' --unit keep

# something later has the last word: seen before the guest is stopped, and undone
mkdir "$UNITS/vm-a.service.d"
printf '[Service]\nRestart=always\n' >"$UNITS/vm-a.service.d/zzz-mine.conf"
systemctl --user daemon-reload
before=$(unit_as_it_is vm-a.service)
move_start a local
move_wait 1
[[ $(result 'r["reason"]') == *'keeps Restart=always'* ]] || fail "the reason is: $(result 'r["reason"]')"
assert_eq "$(unit_as_it_is vm-a.service)" "$before" "the unit"
guest_verify "$DIR/a.orders"
rm -r "$UNITS/vm-a.service.d"
systemctl --user daemon-reload

# its manager does not answer
PATH_BEFORE=$PATH
mkdir "$DIR/bin"
printf '#!/bin/sh\necho "Failed to connect to bus: No such file or directory" >&2\nexit 1\n' >"$DIR/bin/systemctl"
chmod +x "$DIR/bin/systemctl"
PATH=$DIR/bin:$PATH
move_start a local
move_wait 3
PATH=$PATH_BEFORE
[[ $(result 'r["reason"]') == *'cannot ask about the unit vm-a.service'*'Failed to connect'* ]] || fail "the reason is: $(result 'r["reason"]')"

# one that restarts nothing may be left alone
systemctl --user stop vm-a.service
unit_guest a vm-a.service Restart=no
move a local --unit keep
assert_result 'r["disabled"] == []'
assert_eq "$(systemctl --user is-enabled vm-a.service)" enabled "the unit"
