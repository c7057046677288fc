# shellcheck shell=bash
# A cluster of Pacemaker and corosync for end-to-end tests (tests/e2e/cluster), without systemd; to be sourced. Everything of guest.sh, and two nodes:
#
#     pa 10.77.0.1 ════ veth ════ pb 10.77.0.2       on each a vmferry-dst that stands, port 7788
#
# A node is a process in namespaces of its own for network, host name, mounts, IPC and pids, which ends with all that runs on it (its power fails);
# /run, /dev/shm, /var/lib, /var/log, /etc/corosync, users and VM are its own, all else is this machine's. Nothing of Pacemaker is installed here:
# nodes see what was unpacked to build/pacemaker (scripts/install-deps --callers) in /usr.
#
#   cluster_start                  both nodes online, fencing by the agent below, no resource yet
#   cluster_end                    and nothing of it is left: another may begin
#   on NODE COMMAND...             there
#   VM                             the guest's directory, each node's own; its disk is $DISK: there (DISKS=local), or one that both see (DISKS=shared)
#   guest_configure [PROPERTY=VALUE...]     vm1, by its script, on pa (the tiny witness), as the resource vm1 of the agent scripts/ocf/vmferry;
#                                  its disk and script are on pa, and the script on pb if the disk is shared. Parameters of the agent, or meta:…
#   guest_forget                   has the cluster stop it, and removes the resource
#   move_to NODE                   crm_resource --move, and waits for it
#   guest_runs_on NODE             waits until that is so, in one place, as vmferry and the cluster say; orders and guest_verify are the guest's then
#   CALLS                          a file with what Pacemaker has asked of the agent so far but monitor, a line "NODE ACTION STATUS" each
#   $DIR/NODE.faults               shell variables for the agent on that node: export VMFERRY_FAULT=…
#   power_off NODE                 everything there ends at once
#   FENCED                         a file that names the nodes that were fenced, a line each
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"
. "$(dirname "${BASH_SOURCE[0]}")/tiny.sh"

PACEMAKER=$TOP/build/pacemaker
NODES=(pa pb)
declare -A NODE_PID=() NODE_ADDRESS=([pa]=10.77.0.1 [pb]=10.77.0.2)
LAN=  # the process that holds the network between them
VM=$DIR/vm
DISK=
FENCED=$DIR/fenced
CALLS=$DIR/calls

# --- nodes ---------------------------------------------------------------------------------

on() { # NODE COMMAND...
	nsenter -t "${NODE_PID[$1]}" -m -u -i -p -n env -C / HOME=/root PATH="$BIN:$PATH:/usr/sbin:/sbin" "${@:2}"
}

node_dir() { # NODE: prints where its VM is from here
	echo "$DIR/$1/vm"
}

cluster_files() {
	cat >"$DIR/corosync.conf" <<-END
		totem {
		 version: 2
		 cluster_name: ferry
		 transport: udpu
		 token: ${TOKEN_MS:-3000}
		 crypto_cipher: none
		 crypto_hash: none
		}
		nodelist {
		 node {
		  ring0_addr: 10.77.0.1
		  name: pa
		  nodeid: 1
		 }
		 node {
		  ring0_addr: 10.77.0.2
		  name: pb
		  nodeid: 2
		 }
		}
		quorum {
		 provider: corosync_votequorum
		 two_node: 1
		 wait_for_all: 0
		}
		logging {
		 to_logfile: yes
		 logfile: /var/log/corosync.log
		 to_syslog: no
		}
	END
	mkdir -p "$VM" "$DIR/over"/{sbin,lib/ocf/resource.d/vmferry} "$DIR/shared"
	cat >"$DIR/cib.xml" <<-END
		<cib crm_feature_set="3.10.0" validate-with="pacemaker-3.5" admin_epoch="1" epoch="1" num_updates="0"><configuration>
		<crm_config><cluster_property_set id="options">
		<nvpair id="dc-deadtime" name="dc-deadtime" value="2s"/>
		<nvpair id="stonith-action" name="stonith-action" value="off"/>
		</cluster_property_set></crm_config><nodes/>
		<resources><primitive id="fencing" class="stonith" type="fence_test"><instance_attributes id="fencing-is">
		<nvpair id="fencing-list" name="pcmk_host_list" value="pa pb"/>
		</instance_attributes></primitive></resources><constraints/>
		</configuration><status/></cib>
	END
	cat >"$DIR/over/lib/ocf/resource.d/vmferry/vmferry" <<-END
		#!/bin/sh
		[ ! -e "$DIR/\$(hostname).faults" ] || . "$DIR/\$(hostname).faults"
		"$TOP/scripts/ocf/vmferry" "\$@"
		status=\$?
		case \$1 in monitor | meta-data) ;; *) echo "\$(hostname) \$1 \$status" >>"$CALLS" ;; esac
		exit \$status
	END
	cat >"$DIR/over/sbin/fence_test" <<-END
		#!/bin/sh
		action=\${2:-} node=
		while [ \$# -eq 0 ] && read -r line; do
			case \$line in action=*) action=\${line#*=} ;; nodename=* | port=* | plug=*) node=\${line#*=} ;; esac
		done
		case \$action in
		metadata) cat "$DIR/fence.xml" ;;
		off | reboot)
			echo "\$node" >"$DIR/fence-requests"
			for try in \$(seq 200); do [ ! -e "$DIR/\$node.is-off" ] || exit 0; sleep 0.1; done
			exit 1 ;;
		esac
	END
	cat >"$DIR/fence.xml" <<-END
		<?xml version="1.0"?>
		<resource-agent name="fence_test" shortdesc="ends a node's namespaces"><longdesc>for tests</longdesc>
		<parameters><parameter name="action" required="1"><content type="string" default="off"/></parameter>
		<parameter name="port"><content type="string"/></parameter></parameters>
		<actions><action name="on"/><action name="off"/><action name="reboot"/><action name="status"/><action name="monitor"/>
		<action name="metadata"/><action name="list"/></actions></resource-agent>
	END
	chmod 755 "$DIR/over/sbin/fence_test" "$DIR/over/lib/ocf/resource.d/vmferry/vmferry"
	od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$DIR/token"
	: >"$FENCED"
	: >"$CALLS"
	printf '127.0.0.1 localhost\n10.77.0.1 pa\n10.77.0.2 pb\n' >"$DIR/hosts"
	printf 'root:x:0:0:root:/root:/bin/bash\nhacluster:x:1750:1750::/var/lib/pacemaker:/usr/sbin/nologin\n' >"$DIR/passwd"
	printf 'root:x:0:\nhaclient:x:1750:\n' >"$DIR/group"
}

# What the first process of a node does: the node's daemons are its children, and what nobody waits for any more, until its power fails.
node_run() { # NODE ADDRESS
	mount --make-rprivate /
	hostname "$1"
	mount -n -t overlay -o "lowerdir=$DIR/over:${LOWER:+$LOWER:}/usr" usr /usr || exit
	mount -n -t proc proc /proc
	mount -n --bind "$DIR/$1/vm" "$VM"
	hide /run
	hide /var/lib
	mount -n -t tmpfs -o mode=1777 shm /dev/shm
	mount -n --bind "$DIR/$1/log" /var/log
	for at in hosts passwd group; do mount -n --bind "$DIR/$at" "/etc/$at"; done
	mkdir -p /var/lib/pacemaker/{cib,pengine,blackbox,cores} /var/lib/corosync /var/log/pacemaker /run/crm
	cp "$DIR/cib.xml" /var/lib/pacemaker/cib/
	chown -R hacluster:haclient /var/log/pacemaker /var/lib/pacemaker /run/crm
	chmod 600 /var/lib/pacemaker/cib/cib.xml
	mkdir -m 700 /var/lib/vmferry
	(umask 077; cp "$DIR/token" /var/lib/vmferry/)
	export PCMK_logfile=/var/log/pacemaker/pacemaker.log PCMK_logpriority=notice VMFERRY_CONFIG=
	until ip -o address show | grep -q " $2/"; do read -rt 0.05 <> <(:); done
	vmferry-dst --listen "$2:7788" --plaintext -v </dev/null >/var/log/vmferry-dst 2>&1 &
	corosync -f -c "$DIR/corosync.conf" </dev/null >/var/log/corosync.out 2>&1 &
	until corosync-quorumtool >/dev/null 2>&1; do read -rt 0.1 <> <(:); done
	pacemakerd </dev/null >/var/log/pacemaker.out 2>&1 &
	echo yes >"$DIR/$1.ready"
	while :; do wait; read -rt 1 <> <(:); done
}

lan_hold() {
	setpriv --pdeathsig KILL unshare --net --propagation private bash -c 'ip link add lan type bridge && ip link set lan up && echo yes >"$1"
		exec sleep infinity' bash "$DIR/lan.ready" </dev/null >/dev/null 2>"$DIR/lan.err" &
	LAN=$!
	kill_at_exit "$LAN"
	wait_for 10 test -e "$DIR/lan.ready" || skip "no namespaces here: $(tail -n 1 "$DIR/lan.err")"
}

node_start() { # NODE
	local node=$1 held
	mkdir -p "$DIR/$node"/{vm,log}
	rm -f "$DIR/$node".{ready,is-off}
	DIR=$DIR TOP=$TOP VM=$VM LOWER=$LOWER PATH=$BIN:$PATH:/usr/sbin:/sbin setpriv --pdeathsig KILL \
		unshare --net --mount --uts --ipc --pid --fork --kill-child --propagation private \
		bash -c "$(declare -f hide node_run)"'; node_run "$@"' bash "$node" "${NODE_ADDRESS[$node]}" </dev/null >"$DIR/$node/out" 2>&1 &
	held=$!
	kill_at_exit "$held"
	wait_for 10 pgrep -P "$held" >/dev/null || skip "no namespaces here: $(tail -n 1 "$DIR/$node/out")"
	NODE_PID[$node]=$(pgrep -P "$held")
	kill_at_exit "${NODE_PID[$node]}"
	nsenter -t "$LAN" -n ip link add "to-$node" type veth peer name lan netns "${NODE_PID[$node]}"
	nsenter -t "$LAN" -n ip link set "to-$node" master lan up
	nsenter -t "${NODE_PID[$node]}" -n ip link set lo up
	nsenter -t "${NODE_PID[$node]}" -n ip link set lan up
	nsenter -t "${NODE_PID[$node]}" -n ip address add "${NODE_ADDRESS[$node]}/24" dev lan
}

power_off() { # NODE
	kill -KILL "${NODE_PID[$1]}" 2>/dev/null || true
	wait_for 10 process_is_gone "${NODE_PID[$1]}" || fail "node $1 does not end"
}

# The fence agent is on a node, from where no other is to be reached: it asks this.
fence_on_request() {
	local node
	trap - EXIT
	while read -r node; do
		kill -KILL "${NODE_PID[$node]}" 2>/dev/null || true
		echo "$node" >>"$FENCED"
		: >"$DIR/$node.is-off"
	done <>"$DIR/fence-requests"
}

node_is_ready() { # NODE
	[[ -e $DIR/$1.ready ]] || process_is_gone "${NODE_PID[$1]}"
}

both_are_online() {
	[[ $(on "${1:-pa}" crm_mon -1 2>/dev/null) == *'Online: [ pa pb ]'* ]]
}

cluster_start() {
	local node
	[[ $EUID -eq 0 ]] || skip "a cluster of namespaces needs root"
	LOWER=
	if [[ ! -x /usr/sbin/pacemakerd ]]; then
		[[ -x $PACEMAKER/usr/sbin/pacemakerd ]] || skip "no Pacemaker: run scripts/install-deps --callers"
		LOWER=$PACEMAKER/usr
	fi
	cluster_files
	mkfifo "$DIR/fence-requests"
	lan_hold
	for node in "${NODES[@]}"; do node_start "$node"; done
	for node in "${NODES[@]}"; do
		wait_for 60 node_is_ready "$node" || true
		[[ -e $DIR/$node.ready ]] || { grep -q 'overlay' "$DIR/$node/out" && skip "no file system can be mounted here"; fail "node $node: $(tail -n 3 "$DIR/$node/out")"; }
	done
	fence_on_request &
	FENCER=$!
	kill_at_exit "$FENCER"
	wait_for 90 both_are_online || fail "the nodes do not come together: $(on pa crm_mon -1 2>&1 | head -n 12)"
}

cluster_end() {
	local node
	for node in "${NODES[@]}"; do power_off "$node"; done
	end_process "$FENCER"
	end_process "$LAN"
	rm -rf "$DIR"/{pa,pb,shared,over,fence-requests,lan.ready,*.is-off}
}

on_failure() {
	local node
	on pa crm_mon -1 >&2 2>&1 || on pb crm_mon -1 >&2 2>&1 || true
	for node in "${NODES[@]}"; do grep -hE ' (error|warning|crit): |ocf-exit-reason' "$DIR/$node/log/pacemaker/pacemaker.log" 2>/dev/null | tail -n 15 >&2; done
	cat "$CALLS" >&2
}

# --- the guest -----------------------------------------------------------------------------

# With a button its witness heeds, as Pacemaker's stop presses it.
write_script() { # NODE
	cat >"$(node_dir "$1")/vm1.sh" <<-END
		#!/bin/sh
		exec $QEMU -accel tcg -machine ${MACHINE:-q35} -m 256 -display none -nodefaults -no-user-config -name vm1 \
			-serial file:$VM/vm1.console -serial unix:$VM/vm1.orders,server=on,wait=off \
			-qmp unix:$VM/vm1.qmp,server=on,wait=off -qmp unix:$VM/vm1.mon,server=on,wait=off $(guest_drive d0 "$DISK" raw) \
			-kernel $TOP/build/guest/tiny.elf -append '$(witness_words)'
	END
	chmod 755 "$(node_dir "$1")/vm1.sh"
}

nvpairs() { # PREFIX PAIR...: as XML
	local pair
	for pair in "${@:2}"; do
		printf '<nvpair id="%s-%s" name="%s" value="%s"/>\n' "$1" "${pair%%=*}" "${pair%%=*}" "${pair#*=}"
	done
}

guest_configure() { # [NAME=VALUE...]
	local pair block='on-fail="block"'
	[[ -z ${NOT_BLOCKED:-} ]] || block=
	local -a meta=(allow-migrate=true resource-stickiness=200) of_agent=(guest=vm1 "script=$VM/vm1.sh" dest=%n:7788 "options=--reuse auto --plaintext")
	for pair; do
		if [[ $pair == meta:* ]]; then meta+=("${pair#meta:}"); else of_agent+=("$pair"); fi
	done
	WITNESS="${WITNESS:-ram_mb=32 rate=500 disks=vda disk_mb=8 disk_rate=20 button=1}"
	DISK=$VM/vm1.raw
	[[ ${DISKS:-local} == local ]] || DISK=$DIR/shared/vm1.raw
	head -c 16M /dev/urandom >"${DISK/#"$VM"/$(node_dir pa)}"
	write_script pa
	[[ ${DISKS:-local} == local ]] || write_script pb
	cat >"$DIR/vm1.xml" <<-END
		<configuration><resources><primitive id="vm1" class="ocf" provider="vmferry" type="vmferry">
		<instance_attributes id="vm1-is">$(nvpairs vm1-is "${of_agent[@]}")</instance_attributes>
		<meta_attributes id="vm1-meta">$(nvpairs vm1-meta "${meta[@]}")</meta_attributes>
		<operations>
		<op id="vm1-monitor" name="monitor" interval="2s" timeout="30s"/>
		<op id="vm1-start" name="start" interval="0s" timeout="60s"/>
		<op id="vm1-stop" name="stop" interval="0s" timeout="30s"/>
		<op id="vm1-to" name="migrate_to" interval="0s" timeout="${MOVE_S:-120}s" $block/>
		<op id="vm1-from" name="migrate_from" interval="0s" timeout="30s" $block/>
		</operations></primitive></resources>
		<constraints><rsc_location id="first-on-pa" rsc="vm1" node="pa" score="100"/></constraints></configuration>
	END
	on pa cibadmin --modify --allow-create --xml-file "$DIR/vm1.xml" || fail "the resource cannot be made"
}

says_it_runs_on() { # NODE
	[[ $(on "$1" crm_resource --resource vm1 --locate 2>/dev/null) == *"is running on: $1"* && $(on "$1" vmferry list --json) == *'"resource":"vm1"'* ]]
}

guest_runs_on() { # NODE [SECONDS]
	local node=$1 other=pa
	[[ $node != pa ]] || other=pb
	wait_for "${2:-60}" says_it_runs_on "$node" || fail "the guest does not run on $node: $(on "$node" crm_mon -1 --inactive 2>&1 | tail -n 12)"
	process_is_gone "${NODE_PID[$other]}" || [[ $(on "$other" vmferry list --json) != *'"vm1"'* ]] || fail "the guest is on $other, too"
	GUEST_AT[vm1]=$(node_dir "$node")
	wait_for 20 status_is_running || fail "the guest does not run: $("$ASK" state "${GUEST_AT[vm1]}/vm1.mon" 2>&1)"
}

status_is_running() {
	[[ $("$ASK" state "${GUEST_AT[vm1]}/vm1.mon" 2>/dev/null) == running ]]
}

move_to() { # NODE
	on pa crm_resource --clear --resource vm1 >/dev/null
	on pa crm_resource --move --resource vm1 --node "$1" >/dev/null
	guest_runs_on "$1"
}

guest_is_stopped() { # NODE
	[[ $(on "$1" crm_mon -1 --inactive) == *'(ocf:vmferry:vmferry):	 Stopped'* ]]
}

guest_forget() {
	on pa crm_resource --resource vm1 --meta --set-parameter target-role --parameter-value Stopped >/dev/null
	wait_for 60 guest_is_stopped pa || fail "the guest is not stopped"
	on pa crm_resource --clear --resource vm1 >/dev/null
	on pa cibadmin --delete --xml-text '<rsc_location id="first-on-pa"/>'
	on pa crm_resource --resource vm1 --delete --resource-type primitive
}

calls() { # prints them in a line
	paste -sd, "$CALLS"
}

# While no transition is under way, and none is to come.
cluster_is_idle() { # [NODE]
	[[ $(on "${1:-pa}" crmadmin -q -S "$(on "${1:-pa}" crmadmin -q -D)" 2>/dev/null) == *S_IDLE* ]]
}
