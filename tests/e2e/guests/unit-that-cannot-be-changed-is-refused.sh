#!/bin/bash
# A unit that might start the guest again, and cannot be kept from it: refused in preflight, and nothing is touched.
# takes: 25
# tier: gate
. "$(dirname "$0")/../../lib/systemd.sh"

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

# another guest runs in it
unit_guest b vm-b.service Restart=no
echo "${GUEST_PID[b]}" >"/sys/fs/cgroup/user@$SANDBOX_UID.service/app.slice/vm-a.service/cgroup.procs"
refused 'vm-a\.service.*it runs other guests, too'
kill_now "${GUEST_PID[b]}"

# a supervisor in it runs another program beside the guest
cat >"$DIR/supervisor" <<-'END'
	#!/usr/bin/env python3
	import os, subprocess, sys
	subprocess.Popen(["tail", "-f", "/dev/null"], preexec_fn=os.setpgrp)
	sys.exit(subprocess.Popen(sys.argv[1:], preexec_fn=os.setpgrp).wait())
END
chmod +x "$DIR/supervisor"
START_WITH="exec $DIR/supervisor" unit_guest c vm-c.service Restart=always
before=$(unit_as_it_is vm-c.service)
move_start c local
move_wait 3
[[ $(result 'r["reason"]') == *'vm-c.service'*'runs other programs, too'* ]] || fail "the reason is: $(result 'r["reason"]')"
assert_eq "$(unit_as_it_is vm-c.service)" "$before" "the unit of the supervisor"
systemctl --user disable -q --now vm-c.service

# ended processes, and parts of the guest, are no other programs
cp "$(command -v tail)" "$DIR/virtiofsd"
sed -i "s|\"tail\", \"-f\"|\"$DIR/virtiofsd\", \"-f\"|; s|^import.*|&\nended = subprocess.Popen([\"true\"])|" "$DIR/supervisor"
START_WITH="exec $DIR/supervisor" unit_guest c vm-c.service Restart=always
move_start c local --dry-run
wait_for 60 process_is_gone "$MOVE_PID"
assert_result '"unit vm-c.service will be stopped and disabled here" in plan["afterwards"]'
systemctl --user disable -q --now vm-c.service

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

# the unit's manager does not answer
PATH_BEFORE=$PATH
mkdir "$DIR/bin"
printf '#!/bin/sh\necho "Failed to connect to bus: No such file or directory" >&2\nexit 1\n' >"$DIR/bin/systemctl"
chmod +x "$DIR/bin/systemctl"
PATH=$DIR/bin:$PATH
move_start a local
move_wait 3
[[ $(result 'r["reason"]') == *'cannot ask about the unit vm-a.service'*'Failed to connect'* ]] || fail "the reason is: $(result 'r["reason"]')"

# a unit of the system's (its cgroup, and a stand-in for systemctl, as only root can talk to the real one in here)
mkdir -p /sys/fs/cgroup/system.slice/vm-s.service
echo "${GUEST_PID[a]}" >/sys/fs/cgroup/system.slice/vm-s.service/cgroup.procs
printf '#!/bin/sh\nprintf "LoadState=loaded\\nRestart=%%s\\nUnitFileState=disabled\\nMainPID=%d\\n" "$(cat %q)"\n' \
	"${GUEST_PID[a]}" "$DIR/restart" >"$DIR/bin/systemctl"
echo always >"$DIR/restart"
move_start a local
move_wait 3
[[ $(result 'r["reason"]') == *'vm-s.service'*'Restart=always'*'only root may change it'* ]] || fail "the reason is: $(result 'r["reason"]')"
echo no >"$DIR/restart"
move_start a local --dry-run
wait_for 60 process_is_gone "$MOVE_PID"
assert_result '"unit vm-s.service ends with the guest; nothing starts it by itself" in plan["afterwards"]'
PATH=$PATH_BEFORE
echo "${GUEST_PID[a]}" >"/sys/fs/cgroup/user@$SANDBOX_UID.service/app.slice/vm-a.service/cgroup.procs"

# a unit that restarts nothing may be left alone
systemctl --user stop vm-a.service
unit_guest a vm-a.service Restart=no
move a local --unit keep
assert_result 'r["disabled"] == []'
assert_eq "$(systemctl --user is-enabled vm-a.service)" enabled "the unit"
