#!/bin/bash
# A guest that Pacemaker's agent starts lives in a scope of its own, so that it outlives pacemaker.service, and can be moved; without systemd it is at least in
# another cgroup than Pacemaker's.
WHOLE_HOST=1
. "$(dirname "$0")/../../lib/systemd.sh"

agent() { # ACTION
	env OCF_RESKEY_guest=a OCF_RESKEY_script="$DIR/a-start" OCF_RESKEY_binary="$BIN/vmferry" OCF_RESOURCE_INSTANCE=rsc "$TOP/scripts/ocf/vmferry" "$1"
}

cgroup_of() { # PID
	sed -n 's/^0:://p' "/proc/$1/cgroup"
}

unit_guest a vm-a.service # for its script
systemctl stop vm-a.service
rm "$UNITS/vm-a.service" "$UNITS"/*.wants/vm-a.service
cat >"$UNITS/pacemaker.service" <<-END
	[Service]
	Type=oneshot
	RemainAfterExit=yes
	Environment=OCF_RESKEY_guest=a OCF_RESKEY_script=$DIR/a-start OCF_RESKEY_binary=$BIN/vmferry OCF_RESOURCE_INSTANCE=rsc
	Environment=VMFERRY_STATE_DIR=$VMFERRY_STATE_DIR VMFERRY_RUNTIME_DIR=$VMFERRY_RUNTIME_DIR VMFERRY_CONFIG=
	ExecStart=$TOP/scripts/ocf/vmferry start
END
systemctl daemon-reload
systemctl start pacemaker.service || fail "$(systemctl status pacemaker.service 2>&1 | tail -n 5)"
guest_adopt a "$(pgrep -f "^[^ ]*/qemu-system-[^ ]* .*-name a ")"
[[ $(cgroup_of "${GUEST_PID[a]}") =~ /vmferry-a-[0-9]+\.scope$ ]] || fail "the guest is in $(cgroup_of "${GUEST_PID[a]}")"
systemctl stop pacemaker.service
agent monitor || fail "the guest has ended with pacemaker.service"
move a local --owner pacemaker
guest_verify "$(orders a)" blocks
agent stop || fail "the guest does not stop"
process_is_gone "${GUEST_PID[a]}" || fail "the guest runs"

mkdir /sys/fs/cgroup/pcmk
(
	echo 0 >/sys/fs/cgroup/pcmk/cgroup.procs
	rm "$VMFERRY_STATE_DIR/guests/a.json" # the guest has come back
	export -f agent
	export TOP BIN DIR
	unshare --mount --propagation private bash -c 'mount -t tmpfs none /run/systemd && agent start'
) || fail "the guest does not start without systemd"
guest_adopt a "$(pgrep -f "^[^ ]*/qemu-system-[^ ]* .*-name a ")"
assert_eq "$(cgroup_of "${GUEST_PID[a]}")" /vmferry "the cgroup without systemd"
