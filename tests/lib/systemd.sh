# shellcheck shell=bash
# For end-to-end tests of what systemd does with a moved guest; to be sourced first. Everything of aftermath.sh, and a real
# systemd of the test's own, in namespaces. One of two kinds:
#
#   a user's manager (`systemd --user`). The script runs again in there as a user without privileges, so that systemctl and
#   vmferry deal with that manager and no other.
#
#   WHOLE_HOST=N before sourcing: a host, with systemd as process 1 and an /etc/systemd of its own. The script runs as root,
#   once in each of N boots: BOOT is 1 to N. Between them the power fails.
#
#   unit_guest NAME UNIT LINE...   a guest with one disk in a unit with these lines in [Service], enabled and started
#   reboot                         the user's manager ends and everything in it; it starts again with default.target
#   show PROPERTY UNIT
. "$(dirname "${BASH_SOURCE[0]}")/base.sh"
SYSTEMD=/lib/systemd/systemd
# The user's id must differ from that of another test's sandbox: /proc shows its processes, too, in units of the same names.
export SANDBOX_UID=${SANDBOX_UID:-$((100000 + $$))}
BOOT_S=120 # for one boot of a host and all that the script does in it

sandbox_end() { # everything in the cgroup
	echo 1 >"$SANDBOX/cgroup.kill" 2>/dev/null || true
	for _ in {1..100}; do
		find "$SANDBOX" -depth -type d -exec rmdir {} + 2>/dev/null
		[[ -d $SANDBOX ]] || break
		sleep 0.05
	done
}

sandbox_enter() { # UNSHARE OPTION...
	mkdir "$SANDBOX" 2>/dev/null || skip "no cgroup can be made in ${SANDBOX%/*}"
	(
		echo "$BASHPID" >"$SANDBOX/cgroup.procs"
		SANDBOX_STEP=root DIR=$DIR exec unshare --mount --cgroup "$@" bash "$0"
	)
}

host_has_done() {
	[[ -s $DIR/status.$BOOT ]] || ! kill -0 "$1" 2>/dev/null
}

# Boots the host once, until the script has ended in there.
host_boots() {
	local pid
	export BOOT=$1
	sandbox_enter --pid --fork --mount-proc >"$DIR/host.log" 2>&1 </dev/null &
	pid=$!
	wait_for "$BOOT_S" host_has_done "$pid" || echo "FAIL: the host is not done after $BOOT_S s"
	sandbox_end
	wait "$pid" 2>/dev/null
	cat "$DIR/boot.$BOOT" 2>/dev/null || tail -n 5 "$DIR/host.log"
	[[ -s $DIR/status.$BOOT ]] && return "$(<"$DIR/status.$BOOT")"
	echo "FAIL: the host did not come up"
	return 1
}

# Outside: a cgroup, the namespaces, and in the end all of that gone.
sandbox_outside() {
	local mount boot status=0
	[[ $(id -u) -eq 0 ]] || skip "only root can make the namespaces of a systemd"
	[[ -x $SYSTEMD ]] || skip "no systemd at $SYSTEMD"
	mount=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
	[[ -n $mount ]] || skip "no cgroup2 is mounted"
	SANDBOX=$mount/vmferry-test-$$
	# not under build/tmp: the user may have no right to come there, and sockets need short names
	DIR=$(mktemp -d /tmp/vmferry-sd.XXXXXX)
	trap : TERM INT # the test ends by itself, then all is removed
	if [[ -n ${WHOLE_HOST:-} ]]; then
		for ((boot = 1; boot <= WHOLE_HOST && status == 0; boot++)); do host_boots "$boot" || status=$?; done
	else
		sandbox_enter || status=$?
		sandbox_end
	fi
	[[ -n ${KEEP:-} ]] || rm -rf "$DIR"
	exit "$status"
}

# Inside, still root.
sandbox_mounts() {
	mount --make-rprivate /
	hide /run
	open_the_way
	umount -l /sys/fs/cgroup
	mount -t cgroup2 none /sys/fs/cgroup || skip "no cgroup2 can be mounted"
}

# Prepares the user as a login would.
sandbox_user() {
	sandbox_mounts
	mkdir -p /run/systemd/system "/sys/fs/cgroup/user@$SANDBOX_UID.service" /sys/fs/cgroup/test
	echo $$ >/sys/fs/cgroup/test/cgroup.procs
	chown -R "$SANDBOX_UID:$SANDBOX_UID" /sys/fs/cgroup/{cgroup.procs,cgroup.subtree_control,cgroup.threads} \
		"/sys/fs/cgroup/user@$SANDBOX_UID.service" /sys/fs/cgroup/test "$DIR"
	chown "$SANDBOX_UID" /sys/fs/cgroup
	unset DBUS_SESSION_BUS_ADDRESS XDG_DATA_HOME
	SANDBOX_STEP=inside HOME=$DIR/home XDG_CONFIG_HOME=$DIR/home/.config XDG_RUNTIME_DIR=$DIR/xdg \
		exec setpriv --reuid="$SANDBOX_UID" --regid="$SANDBOX_UID" --clear-groups bash "$0"
}

# A host with no units but these: nothing of the real one's may run in here, as that would act on the real one.
sandbox_host() {
	local target at=$DIR/etc/system
	sandbox_mounts
	mkdir -p "$at/multi-user.target.wants"
	for target in sysinit basic shutdown local-fs network-online multi-user; do
		printf '[Unit]\nDefaultDependencies=no\nAllowIsolate=yes\n' >"$at/$target.target"
	done
	cat >"$at/vmferry-test.service" <<-END
		[Service]
		Type=oneshot
		Environment=SANDBOX_STEP=inside WHOLE_HOST=$WHOLE_HOST BOOT=$BOOT DIR=$DIR KEEP=1 VARIANT=${VARIANT:-release} HOME=/root
		ExecStart=/bin/sh -c 'bash "$(realpath "$0")"; echo \$? >$DIR/status.$BOOT'
		StandardOutput=append:$DIR/boot.$BOOT
		StandardError=append:$DIR/boot.$BOOT
	END
	ln -sf ../vmferry-test.service "$at/multi-user.target.wants/"
	mkdir -p /etc/systemd
	mount --bind "$DIR/etc" /etc/systemd
	exec env -i PATH="$PATH" container=vmferry SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system:/run/systemd/transient \
		"$SYSTEMD" --system --unit=multi-user.target --log-target=console --show-status=no
}

case ${SANDBOX_STEP:-} in
'')
	sandbox_outside
	;;
root)
	"$(dirname "${BASH_SOURCE[0]}")/../guest/build-guest"
	if [[ -n ${WHOLE_HOST:-} ]]; then sandbox_host; else sandbox_user; fi
	;;
esac

if [[ -n ${WHOLE_HOST:-} ]]; then
	SYSTEMCTL=(systemctl --system) UNITS=/etc/systemd/system RUNTIME_UNITS=/run/systemd/system
else
	SYSTEMCTL=(systemctl --user) UNITS=$XDG_CONFIG_HOME/systemd/user RUNTIME_UNITS=$XDG_RUNTIME_DIR/systemd/user
	mkdir -p -m 700 "$XDG_RUNTIME_DIR"
fi
mkdir -p "$UNITS"
. "$(dirname "${BASH_SOURCE[0]}")/aftermath.sh"

MANAGER=

manager_start() {
	(
		echo "$BASHPID" >"/sys/fs/cgroup/user@$SANDBOX_UID.service/cgroup.procs"
		SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=info exec "$SYSTEMD" --user
	) </dev/null >>"$DIR/manager.log" 2>&1 &
	MANAGER=$!
	kill_at_exit "$MANAGER"
	wait_for 60 manager_is_up || fail "systemd --user does not come up: $(tail -n 5 "$DIR/manager.log")"
}

manager_is_up() {
	[[ $(systemctl --user is-active default.target 2>/dev/null) == active ]]
}

manager_stop() {
	[[ -n $MANAGER ]] || return 0
	kill -TERM "$MANAGER"
	wait_for 60 process_is_gone "$MANAGER" || fail "systemd --user does not end"
	wait "$MANAGER" 2>/dev/null || true
}
at_exit manager_stop

# Restarts the manager: processes in its units end with it, as with a host.
reboot() {
	manager_stop
	manager_start
}

show() { # PROPERTY UNIT
	"${SYSTEMCTL[@]}" show -p "$1" --value -- "$2"
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
			-kernel "$TOP/build/guest/tiny.elf" \
			-append "witness.ram_mb=16 witness.rate=200 witness.disks=vda witness.disk_mb=8 witness.disk_rate=20${BUTTON:+ witness.button=$BUTTON}" \
			$(guest_drive d0 "$DIR/$name.raw" raw)
		echo
	} >"$DIR/$name-start"
	chmod +x "$DIR/$name-start"
	{
		printf '%s\n' '[Service]' "ExecStart=$DIR/$name-start" StandardOutput=null StandardError=null "$@"
		printf '%s\n' '[Install]' "WantedBy=$([[ -n ${WHOLE_HOST:-} ]] && echo multi-user || echo default).target"
	} >"$UNITS/$unit"
	"${SYSTEMCTL[@]}" daemon-reload
	"${SYSTEMCTL[@]}" enable -q "$unit"
	"${SYSTEMCTL[@]}" start "$unit"
	unit_guest_adopt "$name"
}

# The guest that a unit or a script has started, once its witness is ready.
unit_guest_adopt() { # NAME [DIRECTORY]
	local at=${2:-$DIR}
	wait_for 60 qmp_answers "$at/$1.mon" || fail "the QEMU of $1 does not come up"
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
	python3 -S -c '
import socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
print(struct.unpack("iII", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])' "$1"
}

# Everything of a unit that a move might change, in one text.
unit_as_it_is() { # UNIT
	"${SYSTEMCTL[@]}" show -p Restart,UnitFileState,ActiveState,MainPID,DropInPaths,SuccessExitStatus,NeedDaemonReload -- "$1"
	find "$UNITS" "$RUNTIME_UNITS" ! -type d -printf '%p %l\n' -o -name '*.d' -print 2>/dev/null | sort
	cat "$UNITS/$1"
}

nobody_has_open() { # FILE
	[[ -z $(find /proc/[0-9]*/fd -lname "$1" 2>/dev/null) ]]
}

[[ -n ${WHOLE_HOST:-} ]] || manager_start
