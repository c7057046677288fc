# shellcheck shell=bash
# A cluster of Pacemaker and corosync for end-to-end tests (tests/e2e/cluster), without systemd; to be sourced. Everything of nodes.sh, whose pa and pb are
# the nodes, with a vmferry-dst each that stands at port 7788. Nothing of Pacemaker is installed here: nodes see what was unpacked to
# build/pacemaker (scripts/install-deps --callers) in /usr.
#
#   cluster_start                  both nodes online, fencing by the agent below, no resource yet
#   cluster_end                    and nothing of it is left: another may begin
#   guest_configure [PROPERTY=VALUE...]     vm1, by its script, on pa (the tiny witness), as the resource vm1 of the agent scripts/ocf/vmferry. With
#                                  DISKS=local its disk is in VM, and there is no script on pb; with DISKS=shared both see it, and both have one. Parameters
#                                  of the agent, or meta:…
#   guest_forget                   has the cluster stop it, and removes the resource
#   move_to NODE                   crm_resource --move, and waits for it
#   guest_runs_on NODE [SECONDS]   waits until that is so, in one place, as vmferry and the cluster say; orders and guest_verify are the guest's then
#   CALLS, calls                   a file with what Pacemaker has asked of the agent but monitor, a line "NODE ACTION STATUS" each; prints it in one
#   CLUSTER_SSH=yes                moves go by SSH, which is what the agent does unless it is said otherwise, and no vmferry-dst stands
#   $DIR/fault-at                  a fault point of vmferry's at which moves stand still; then $DIR/fault is there
#   cluster_is_idle [NODE]         no transition is under way, and none is to come
#   FENCED                         a file that names the nodes that were fenced, a line each
. "$(dirname "${BASH_SOURCE[0]}")/nodes.sh"

PACEMAKER=$TOP/build/pacemaker
NODES=(pa pb)
DISK=
FENCED=$DIR/fenced
CALLS=$DIR/calls

# --- nodes ---------------------------------------------------------------------------------

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
	mkdir -p "$DIR/over"/{sbin,lib/ocf/resource.d/vmferry} "$DIR/shared"
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
		[ ! -e "$DIR/fault-at" ] || export VMFERRY_FAULT="\$(cat "$DIR/fault-at"):stop:$DIR/fault"
		"$TOP/scripts/ocf/vmferry" "\$@"
		status=\$?
		case \$1 in monitor | meta-data) ;; *) echo "\$(hostname) \$1 \$status" >>"$CALLS" ;; esac
		exit \$status
	END
	cat >"$DIR/over/sbin/fence_test" <<-END
		#!/bin/bash
		. "$TOP/tests/lib/base.sh"
		action=\${2:-} node=
		while [ \$# -eq 0 ] && read -r line; do
			case \$line in action=*) action=\${line#*=} ;; nodename=* | port=* | plug=*) node=\${line#*=} ;; esac
		done
		case \$action in
		metadata) cat "$DIR/fence.xml" ;;
		off | reboot)
			echo "\$node" >"$DIR/fence-requests"
			wait_for 60 test -e "$DIR/\$node.is-off" ;;
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
}

node_serve() { # NODE ADDRESS
	mkdir -p /var/lib/pacemaker/{cib,pengine,blackbox,cores} /var/lib/corosync /var/log/pacemaker /run/crm
	cp "$DIR/cib.xml" /var/lib/pacemaker/cib/
	chown -R hacluster:haclient /var/log/pacemaker /var/lib/pacemaker /run/crm
	chmod 600 /var/lib/pacemaker/cib/cib.xml
	mkdir -m 700 /var/lib/vmferry
	(umask 077 && cp "$DIR/token" /var/lib/vmferry/)
	export PCMK_logfile=/var/log/pacemaker/pacemaker.log PCMK_logpriority=notice
	if [[ -n ${CLUSTER_SSH:-} ]]; then
		export HOME=$NODE_HOME
		node_sshd "$@"
	else
		vmferry-dst --listen "$2:7788" --plaintext -v </dev/null >/var/log/vmferry-dst 2>&1 &
	fi
	corosync -f -c "$DIR/corosync.conf" </dev/null >/var/log/corosync.out 2>&1 &
	until corosync-quorumtool >/dev/null 2>&1; do read -rt 0.1 <> <(:); done
	pacemakerd </dev/null >/var/log/pacemaker.out 2>&1 &
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

both_are_online() {
	[[ $(on "${1:-pa}" crm_mon -1 2>/dev/null) == *'Online: [ pa pb ]'* ]]
}

# Each may have been a cluster of its own for a moment: what is configured meanwhile may be overlooked.
both_have_settled() {
	[[ $(on pa crmadmin -q -D 2>/dev/null) == "$(on pb crmadmin -q -D 2>/dev/null)" ]] && both_are_online pb && cluster_is_idle pa && cluster_is_idle pb
}

cluster_start() {
	local node
	if [[ ! -x /usr/sbin/pacemakerd ]]; then
		[[ -x $PACEMAKER/usr/sbin/pacemakerd ]] || skip "no Pacemaker: run scripts/install-deps --callers"
		LOWER=$PACEMAKER/usr
	fi
	nodes_prepare
	[[ -z ${CLUSTER_SSH:-} ]] || nodes_keys
	cluster_files
	mkfifo "$DIR/fence-requests"
	for node in "${NODES[@]}"; do node_start "$node"; done
	nodes_wait "${NODES[@]}"
	fence_on_request &
	FENCER=$!
	kill_at_exit "$FENCER"
	wait_for 90 both_are_online && wait_for 60 both_have_settled || fail "the nodes do not come together: $(on pa crm_mon -1 2>&1 | head -n 12)"
}

cluster_end() {
	local node
	for node in "${NODES[@]}"; do power_off "$node"; done
	end_process "$FENCER"
	end_process "$LAN"
	rm -rf "$DIR"/{pa,pb,shared,over,fence-requests,lan.ready}
}

on_failure() {
	local node
	on pa crm_mon -1 >&2 2>&1 || on pb crm_mon -1 >&2 2>&1 || true
	for node in "${NODES[@]}"; do grep -hE ' (error|warning|crit): |ocf-exit-reason' "$DIR/$node/log/pacemaker/pacemaker.log" 2>/dev/null | tail -n 15 >&2; done
	cat "$CALLS" >&2
}

# --- the guest -----------------------------------------------------------------------------

nvpairs() { # PREFIX PAIR...: as XML
	local pair
	for pair in "${@:2}"; do
		printf '<nvpair id="%s-%s" name="%s" value="%s"/>\n' "$1" "${pair%%=*}" "${pair%%=*}" "${pair#*=}"
	done
}

guest_configure() { # [NAME=VALUE...]
	local pair block='on-fail="block"'
	[[ -z ${NOT_BLOCKED:-} ]] || block=
	local -a meta=(allow-migrate=true resource-stickiness=200) of_agent=(guest=vm1 "script=$VM/vm1.sh")
	[[ -n ${CLUSTER_SSH:-} ]] || of_agent+=(dest=%n:7788 "options=--reuse auto --plaintext")
	for pair; do
		if [[ $pair == meta:* ]]; then meta+=("${pair#meta:}"); else of_agent+=("$pair"); fi
	done
	DISK=$VM/vm1.raw
	[[ ${DISKS:-local} == local ]] || DISK=$DIR/shared/vm1.raw
	head -c 16M /dev/urandom >"${DISK/#"$VM"/$(node_dir pa)}"
	write_guest_script pa vm1 "$DISK"
	[[ ${DISKS:-local} == local ]] || write_guest_script pb vm1 "$DISK"
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

has_come_to() { # NODE
	local said
	said=$(on "$1" vmferry list --json)
	[[ $said == *'"vm1"'* && $said != *'"arriving":true'* ]]
}

guest_runs_on() { # NODE [SECONDS]
	local node=$1 other=pa
	[[ $node != pa ]] || other=pb
	wait_for "${2:-60}" says_it_runs_on "$node" || fail "the guest does not run on $node: $(on "$node" crm_mon -1 --inactive 2>&1 | tail -n 12)"
	process_is_gone "${NODE_PID[$other]}" || ! has_come_to "$other" || fail "the guest is on $other, too"
	GUEST_AT[vm1]=$(node_dir "$node")
	wait_for 60 status_is_running || fail "the guest does not run: $("$ASK" state "${GUEST_AT[vm1]}/vm1.mon" 2>&1)"
}

move_to() { # NODE
	on pa crm_resource --clear --resource vm1 >/dev/null
	on pa crm_resource --move --resource vm1 --node "$1" >/dev/null
	guest_runs_on "$1"
	wait_for 60 cluster_is_idle || fail "the cluster has not settled" # the cluster notes the guest there before it stops it here
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
