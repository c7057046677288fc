# shellcheck shell=bash
# For end-to-end tests of what systemd does with a moved guest; to be sourced first. Everything of move.sh, and a real systemd:
# a user's manager (`systemd --user`) of the test's own, in a mount and a cgroup namespace. The script runs again in there
# as a user without privileges, so that both systemctl and vmferry deal with that manager and no other.
#
#   unit_start NAME UNIT-FILE-LINES...   writes vm-NAME.service's [Service] lines, enables and starts it: guest NAME
#   reboot                               the manager ends and everything in it; it starts again with default.target
#   show PROPERTY UNIT
SYSTEMD=/lib/systemd/systemd
SANDBOX_UID=54321

sandbox_skip() { # REASON
	echo "skip: $*"
	exit 77
}

# Outside: a cgroup, the namespaces, and in the end all of that gone.
sandbox_outside() {
	local mount status=0
	[[ $(id -u) -eq 0 ]] || sandbox_skip "only root can make the namespaces of a systemd"
	[[ -x $SYSTEMD ]] || sandbox_skip "no systemd at $SYSTEMD"
	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[[ -n $mount ]] || sandbox_skip "no cgroup2 is mounted"
	SANDBOX=$mount/vmferry-test-$$
	mkdir "$SANDBOX" 2>/dev/null || sandbox_skip "no cgroup can be made in $mount"
	# not under build/tmp: the user may have no right to come there, and sockets need short names
	DIR=$(mktemp -d /tmp/vmferry-sd.XXXXXX)
	trap : TERM INT # the test ends by itself, then all is removed
	(
		echo "$BASHPID" >"$SANDBOX/cgroup.procs"
		SANDBOX_STEP=root DIR=$DIR exec unshare --mount --cgroup bash "$0"
	) || status=$?
	echo 1 >"$SANDBOX/cgroup.kill" 2>/dev/null || true
	for _ in {1..100}; do
		find "$SANDBOX" -depth -type d -exec rmdir {} + 2>/dev/null
		[[ -d $SANDBOX ]] || break
		sleep 0.05
	done
	[[ -n ${KEEP:-} ]] || rm -rf "$DIR"
	exit "$status"
}

# Inside, still root: what a login would have prepared for the user.
sandbox_root() {
	local dir=$1
	mount --make-rprivate /
	mount -t tmpfs none /run
	mkdir -p /run/systemd/system
	umount -l /sys/fs/cgroup
	mount -t cgroup2 none /sys/fs/cgroup || sandbox_skip "no cgroup2 can be mounted"
	mkdir -p "/sys/fs/cgroup/user@$SANDBOX_UID.service" /sys/fs/cgroup/test
	echo $$ >/sys/fs/cgroup/test/cgroup.procs
	chown -R "$SANDBOX_UID:$SANDBOX_UID" /sys/fs/cgroup/{cgroup.procs,cgroup.subtree_control,cgroup.threads} \
		"/sys/fs/cgroup/user@$SANDBOX_UID.service" /sys/fs/cgroup/test "$dir"
	unset DBUS_SESSION_BUS_ADDRESS XDG_DATA_HOME
	SANDBOX_STEP=user HOME=$dir/home XDG_CONFIG_HOME=$dir/home/.config XDG_RUNTIME_DIR=$dir/xdg \
		exec setpriv --reuid="$SANDBOX_UID" --regid="$SANDBOX_UID" --clear-groups bash "$0"
}

case ${SANDBOX_STEP:-} in
'')
	sandbox_outside
	;;
root)
	TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
	"$TOP/tests/guest/build-guest"
	sandbox_root "$DIR"
	;;
esac

mkdir -p -m 700 "$XDG_RUNTIME_DIR"
mkdir -p "$XDG_CONFIG_HOME/systemd/user"
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"

MANAGER=
UNITS=$XDG_CONFIG_HOME/systemd/user

manager_start() {
	(
		echo "$BASHPID" >"/sys/fs/cgroup/user@$SANDBOX_UID.service/cgroup.procs"
		SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=info exec "$SYSTEMD" --user
	) </dev/null >>"$DIR/manager.log" 2>&1 &
	MANAGER=$!
	kill_at_exit "$MANAGER"
	wait_for 20 manager_is_up || fail "systemd --user does not come up: $(tail -n 5 "$DIR/manager.log")"
}

manager_is_up() {
	[[ $(systemctl --user is-active default.target 2>/dev/null) == active ]]
}

manager_stop() {
	kill -TERM "$MANAGER"
	wait_for 30 process_is_gone "$MANAGER" || fail "systemd --user does not end"
	wait "$MANAGER" 2>/dev/null || true
}
at_exit manager_stop

# What lived in the manager's units ends with it, as with a host.
reboot() {
	manager_stop
	manager_start
}

show() { # PROPERTY UNIT
	systemctl --user show -p "$1" --value -- "$2"
}

# A guest with one disk, DIR/NAME.raw, that is started by a unit. The unit runs DIR/NAME-start, which becomes QEMU.
unit_guest() { # NAME UNIT LINE...: lines of the unit's [Service]
	local name=$1 unit=$2
	shift 2
	[[ -e $DIR/$name.raw ]] || head -c 16M /dev/urandom >"$DIR/$name.raw"
	{
		echo '#!/bin/sh'
		printf '%s' "${START_WITH:-exec}"
		printf ' %q' "$QEMU" -accel tcg -machine q35 -m 256 -display none -nodefaults -no-user-config -name "${GUEST_NAME:-$name}" \
			-serial "file:$DIR/$name.console" -serial "unix:$DIR/$name.orders,server=on,wait=off" \
			-qmp "unix:$DIR/$name.qmp,server=on,wait=off" $(second_monitor "$name") \
			-kernel "$TOP/build/guest/vmlinuz" -initrd "$TOP/build/guest/initrd.img" \
			-append "$(WITNESS="ram_mb=16 rate=200 disks=vda disk_mb=8 disk_rate=20" guest_cmdline)" \
			$(guest_drive d0 "$DIR/$name.raw" raw)
		echo
	} >"$DIR/$name-start"
	chmod +x "$DIR/$name-start"
	{
		printf '%s\n' '[Service]' "ExecStart=$DIR/$name-start" StandardOutput=null StandardError=null "$@"
		printf '%s\n' '[Install]' 'WantedBy=default.target'
	} >"$UNITS/$unit"
	systemctl --user daemon-reload
	systemctl --user enable -q "$unit"
	systemctl --user start "$unit"
	unit_guest_adopt "$name"
}

# The guest that a unit or a script has started, once its witness is ready.
unit_guest_adopt() { # NAME [DIRECTORY]
	local at=${2:-$DIR}
	wait_for 20 qmp_answers "$at/$1.mon" || fail "the QEMU of $1 does not come up"
	guest_adopt "$1" "$(pid_that_listens "$at/$1.mon")"
	wait_for 60 witness_is_ready "$at/$1.console" || fail "the witness of $1 does not come up: $(tail -n 2 "$at/$1.console")"
}

qmp_answers() {
	qmp "$1" '{"execute": "query-status"}' >/dev/null 2>&1
}

witness_is_ready() {
	grep -aq '^witness ready' "$1"
}

pid_that_listens() { # SOCKET
	python3 -c '
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
print(struct.unpack("iII", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])' "$1"
}

# Everything of a unit that a move might change, in one text.
unit_as_it_is() { # UNIT
	systemctl --user show -p Restart,UnitFileState,ActiveState,MainPID,DropInPaths,SuccessExitStatus,NeedDaemonReload -- "$1"
	find "$UNITS" "$XDG_RUNTIME_DIR/systemd/user" ! -type d -printf '%p %l\n' -o -name '*.d' -print 2>/dev/null | sort
	cat "$UNITS/$1"
}

nobody_has_open() { # FILE
	[[ -z $(find /proc/[0-9]*/fd -lname "$1" 2>/dev/null) ]]
}

manager_start
