# shellcheck shell=bash
# Hosts of which each has processes of its own, for tests of what calls vmferry; to be sourced. Everything of guest.sh and tiny.sh, and
#
#     pa 10.77.0.1 ════ bridge ════ pb 10.77.0.2, pc 10.77.0.3
#
# A node is a process in namespaces of its own for network, host name, mounts, IPC and pids, which ends with all that runs on it (its power fails);
# /run, /dev/shm, /var/lib, /var/log, users and VM are its own, all else is this machine's. What is in LOWER, a list of directories with colons, lies
# over its /usr.
#
#   nodes_prepare                  before the first; then what is in $DIR/over is over their /usr, too
#   node_start NODE                runs node_serve NODE ADDRESS there, a function of the test's or of its library's, which starts its daemons and returns
#   nodes_wait NODE...             until that is so
#   on NODE COMMAND...             there
#   node_sshd NODE ADDRESS         for node_serve: a real sshd, where root of each node may log in by a key (nodes_keys before)
#   power_off NODE                 everything there ends at once; node_start has it again, with what is in VM
#   node_dir NODE                  prints where its VM is from here
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"

declare -A NODE_PID=() NODE_ADDRESS=([pa]=10.77.0.1 [pb]=10.77.0.2 [pc]=10.77.0.3)
LAN=  # the process that holds the network between them
VM=$DIR/vm
LOWER=
NODE_HOME=/var/lib/root

on() { # NODE COMMAND...
	nsenter -t "${NODE_PID[$1]}" -m -u -i -p -n env -C / HOME="$NODE_HOME" PATH="$BIN:$PATH:/usr/sbin:/sbin" "${@:2}"
}

node_dir() { # NODE
	echo "$DIR/$1/vm"
}

nodes_prepare() {
	[[ $EUID -eq 0 ]] || skip "hosts of namespaces need root"
	mkdir -p "$VM" "$DIR/over"
	printf '127.0.0.1 localhost\n10.77.0.1 pa\n10.77.0.2 pb\n10.77.0.3 pc\n' >"$DIR/hosts"
	printf 'root:x:0:0:root:%s:/bin/bash\nsshd:x:74:74::/run/sshd:/usr/sbin/nologin\nhacluster:x:1750:1750::/var/lib/pacemaker:/usr/sbin/nologin\n' \
		"$NODE_HOME" >"$DIR/passwd"
	printf 'root:x:0:\nhaclient:x:1750:\nnogroup:x:65534:\n' >"$DIR/group"
	setpriv --pdeathsig KILL unshare --net --propagation private bash -c 'ip link add lan type bridge && ip link set lan up && echo yes >"$1"
		exec sleep infinity' bash "$DIR/lan.ready" </dev/null >/dev/null 2>"$DIR/lan.err" &
	LAN=$!
	kill_at_exit "$LAN"
	wait_for 60 test -e "$DIR/lan.ready" || skip "no namespaces here: $(tail -n 1 "$DIR/lan.err")"
}

# The first process of a node: the node's daemons are its children, and so are orphans, until its power fails.
node_run() { # NODE ADDRESS
	mount --make-rprivate /
	hostname "$1"
	mount -n -t overlay -o "lowerdir=$DIR/over:${LOWER:+$LOWER:}/usr" usr /usr || exit
	mount -n -t proc proc /proc
	mount -n --bind "$DIR/$1/vm" "$VM"
	hide /run
	hide /var/lib
	mount -n -t tmpfs -o mode=1777 shm /dev/shm
	[[ ! -d /sys/fs/cgroup ]] || mount -n -t tmpfs -o mode=755 cgroup /sys/fs/cgroup # this machine's are not a test's
	mount -n --bind "$DIR/$1/log" /var/log
	for at in hosts passwd group; do mount -n --bind "$DIR/$at" "/etc/$at"; done
	mkdir -m 700 "$NODE_HOME"
	until ip -o address show | grep -q " $2/"; do read -rt 0.05 <> <(:); done
	export VMFERRY_CONFIG=
	node_serve "$@"
	echo yes >"$DIR/$1.ready"
	while :; do wait; read -rt 1 <> <(:); done
}

node_start() { # NODE
	local node=$1 held
	mkdir -p "$DIR/$node"/{vm,log}
	rm -f "$DIR/$node".{ready,is-off}
	env DIR="$DIR" TOP="$TOP" VM="$VM" LOWER="$LOWER" NODE_HOME="$NODE_HOME" PATH="$BIN:$PATH:/usr/sbin:/sbin" setpriv --pdeathsig KILL \
		unshare --net --mount --uts --ipc --pid --fork --kill-child --propagation private \
		bash -c "$(declare -f hide node_run node_serve node_sshd)"'; node_run "$@"' bash "$node" "${NODE_ADDRESS[$node]}" </dev/null >"$DIR/$node/out" 2>&1 &
	held=$!
	kill_at_exit "$held"
	wait_for 60 pgrep -P "$held" >/dev/null || skip "no namespaces here: $(tail -n 1 "$DIR/$node/out")"
	NODE_PID[$node]=$(pgrep -P "$held")
	kill_at_exit "${NODE_PID[$node]}"
	nsenter -t "$LAN" -n ip link add "to-$node" type veth peer name lan netns "${NODE_PID[$node]}"
	nsenter -t "$LAN" -n ip link set "to-$node" master lan up
	nsenter -t "${NODE_PID[$node]}" -n ip link set lo up
	nsenter -t "${NODE_PID[$node]}" -n ip link set lan up
	nsenter -t "${NODE_PID[$node]}" -n ip address add "${NODE_ADDRESS[$node]}/24" dev lan
}

node_is_ready() { # NODE
	[[ -e $DIR/$1.ready ]] || process_is_gone "${NODE_PID[$1]}"
}

nodes_wait() { # NODE...
	local node
	for node; do
		wait_for 60 node_is_ready "$node" || true
		[[ ! -e $DIR/$node.ready ]] || continue
		! grep -q overlay "$DIR/$node/out" || skip "no file system can be mounted here"
		fail "node $node: $(tail -n 3 "$DIR/$node/out")"
	done
}

power_off() { # NODE
	kill -KILL "${NODE_PID[$1]}" 2>/dev/null || true
	wait_for 60 process_is_gone "${NODE_PID[$1]}" || fail "node $1 does not end"
	nsenter -t "$LAN" -n ip link delete "to-$1" 2>/dev/null || true # at once, for the sake of node_start
}

# --- SSH -----------------------------------------------------------------------------------

# A single key serves for all: as each node's host key, and as the key of each node's root.
nodes_keys() {
	SSHD_ROOT=
	[[ -x /usr/sbin/sshd ]] || SSHD_ROOT=$TOP/build/sshd
	[[ -x $SSHD_ROOT/usr/sbin/sshd ]] || skip "no sshd: run scripts/install-deps"
	export SSHD_ROOT
	ssh-keygen -q -t ed25519 -N '' -f "$DIR/key"
	sed 's/^/pa,pb,pc,10.77.0.1,10.77.0.2,10.77.0.3 /' "$DIR/key.pub" >"$DIR/known_hosts"
	printf '%s\n' "HostKey $DIR/key" 'PidFile none' 'UsePAM no' 'StrictModes no' 'PermitRootLogin yes' 'AuthorizedKeysFile %h/.ssh/authorized_keys' \
		'UseDNS no' 'MaxStartups 100' 'MaxSessions 40' 'Subsystem sftp internal-sftp' >"$DIR/sshd_config"
}

node_sshd() { # NODE ADDRESS
	[[ ! -d /etc/ssh ]] || mount -n -t tmpfs -o mode=755 ssh /etc/ssh
	[[ -z $SSHD_ROOT || ! -d /usr/lib/openssh ]] || mount -n --bind "$SSHD_ROOT/usr/lib/openssh" /usr/lib/openssh
	mkdir -p -m 755 /run/sshd
	mkdir -m 700 "$NODE_HOME/.ssh"
	cp "$DIR/known_hosts" "$NODE_HOME/.ssh/"
	cp "$DIR/key" "$NODE_HOME/.ssh/id_ed25519"
	cp "$DIR/key.pub" "$NODE_HOME/.ssh/id_ed25519.pub"
	cp "$DIR/key.pub" "$NODE_HOME/.ssh/authorized_keys"
	env LD_LIBRARY_PATH="$SSHD_ROOT/usr/lib/x86_64-linux-gnu:$SSHD_ROOT/lib/x86_64-linux-gnu" \
		"$SSHD_ROOT/usr/sbin/sshd" -D -f "$DIR/sshd_config" -o "ListenAddress=$2:22" -E /var/log/sshd </dev/null >/var/log/sshd.out 2>&1 &
	until : <>"/dev/tcp/$2/22"; do read -rt 0.05 <> <(:); done 2>/dev/null
}

# --- a guest -------------------------------------------------------------------------------

# Script that starts the tiny guest (answers the power button); its disk is FILE.
write_guest_script() { # NODE NAME FILE
	local name=$2
	cat >"$(node_dir "$1")/$name.sh" <<-END
		#!/bin/sh
		exec $QEMU -accel tcg -machine ${MACHINE:-q35} -m 256 -display none -nodefaults -no-user-config -name $name \\
			-serial file:$VM/$name.console -serial unix:$VM/$name.orders,server=on,wait=off \\
			-qmp unix:$VM/$name.qmp,server=on,wait=off -qmp unix:$VM/$name.mon,server=on,wait=off $(guest_drive d0 "$3" raw) \\
			-kernel $TOP/build/guest/tiny.elf -append '$(WITNESS="${WITNESS:-ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20 button=1}" witness_words)'
	END
	chmod 755 "$(node_dir "$1")/$name.sh"
}

status_is_running() { # [NAME]
	[[ $("$ASK" state "${GUEST_AT[${1:-vm1}]}/${1:-vm1}.mon" 2>/dev/null) == running ]]
}
