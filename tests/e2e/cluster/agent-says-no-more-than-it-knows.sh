#!/bin/bash
# The resource agent of Pacemaker against a vmferry that a script plays: what each answer of vmferry's becomes for Pacemaker. A guest that
# may run elsewhere is not started, what cannot be told is an error and not "not running", and a move counts only if its result says so.
# tier: gate
set -euo pipefail
. "$(dirname "$0")/../../lib/base.sh"
test_begins

SUCCESS=0 GENERIC=1 INSTALLED=5 CONFIGURED=6 NOT_RUNNING=7
mkdir "$DIR/bin" "$DIR/run"
export VMFERRY_RUNTIME_DIR=$DIR/run OCF_RESKEY_guest=vm1 OCF_RESKEY_script=$DIR/vm1.sh OCF_RESOURCE_INSTANCE=rsc1
export PATH=$DIR/bin:$PATH DIR

# A vmferry, and a Pacemaker's tools, that do as files say: DIR/COMMAND is run, and what was asked for is in DIR/asked.
cat >"$DIR/bin/vmferry" <<'PLAYED'
#!/bin/sh
echo "$@" >>"$DIR/asked"
. "$DIR/$1"
PLAYED
# Attributes of nodes are files; there are none of another kind.
cat >"$DIR/bin/crm_attribute" <<'PLAYED'
#!/bin/sh
[ "$1 $3" = "--node --name" ] || exit 1
[ ! -e "$DIR/no-attributes" ] || exit 102
at=$DIR/attribute-$2-$4
case $5 in
--query) cat "$at" 2>/dev/null || exit 105 ;;
--update) echo "$6" >"$at" ;;
--delete) rm "$at" ;;
esac
PLAYED
printf '#!/bin/sh\n[ "$1 $3" = "--history --output-as=xml" ] && cat "$DIR/fenced-$2"\n' >"$DIR/bin/stonith_admin"
printf '#!/bin/sh\necho "ssh $*" >>"$DIR/asked"\nwhile [ $# -gt 2 ]; do shift; done\n. "$DIR/at-$1"\n' >"$DIR/bin/ssh"
printf '#!/bin/sh\ncat "$DIR/cib" 2>/dev/null\n' >"$DIR/bin/crm_resource"
nodes() { # "NAME STATE"...
	printf '%s\n' "${@/#/1 }" >"$DIR/nodes"
}
printf '#!/bin/sh\n[ "$1" = -n ] && echo pa || cat "$DIR/nodes"\n' >"$DIR/bin/crm_node"
printf '#!/bin/sh\nexec sleep 100\n' >"$DIR/vm1.sh"
chmod +x "$DIR"/bin/* "$DIR/vm1.sh"

play() { # COMMAND LINE...: what that command of vmferry's does
	printf '%s\n' "${@:2}" >"$DIR/$1"
}

answers() { # STATUS ACTION [NAME=VALUE...]: the agent; $SAID is its reason
	local status=0
	: >"$DIR/asked"
	env "${@:3}" "$TOP/scripts/ocf/vmferry" "$2" </dev/null >"$DIR/out" 2>"$DIR/err" || status=$?
	SAID=$(sed -n 's/^ocf-exit-reason://p' "$DIR/err")
	assert_eq "$status" "$1" "$2 ($SAID)"
}

says() { # TEXT
	[[ $SAID == *"$1"* ]] || fail "the reason is not '$1': $SAID"
}

asked() { # TEXT
	grep -qF -- "$1" "$DIR/asked" || fail "vmferry was not asked '$1': $(<"$DIR/asked")"
}

not_here() {
	play list 'echo "{\"guests\":[],\"absent\":\"vm1\"}"; echo "vmferry: no guest vm1 runs here" >&2; exit 1'
}

here() { # PID [MEMBERS]
	play list "echo 'vmferry: a remark' >&2; echo '{\"guests\":[{\"name\":\"vm1\",\"pid\":$1,\"movable\":true,${2:-}\"owner\":\"plain\",\"disks\":[{\"path\":\"/a\"}],\"status\":\"${3:-running}\"}]}'"
}

tail -f /dev/null & # this process stands for a guest
guest=$!
at_exit "kill $guest 2>/dev/null"

# --- monitor
not_here
answers $NOT_RUNNING monitor
here $guest
answers $SUCCESS monitor
grep -qE '^pacemaker [0-9]+ rsc1$' "$DIR/run/owners/$guest" || fail "the guest is not noted as the cluster's"
noted=$(<"$DIR/run/owners/$guest")
echo "pacemaker 1 rsc1" >"$DIR/run/owners/$guest" # an earlier process of that number was
answers $SUCCESS monitor
assert_eq "$(<"$DIR/run/owners/$guest")" "$noted" "the note"
answers $SUCCESS monitor VMFERRY_RUNTIME_DIR=/proc/no-such
play list 'echo "vmferry: cannot look at all processes of this host" >&2; exit 1'
answers $GENERIC monitor
says "cannot tell"
play list 'exit 0'
answers $GENERIC monitor
play list 'echo "{\"guests\":[{\"name\":\"vm1\",\"pid\":7,\"movable\":true},{\"name\":\"vm1\",\"pid\":8,\"movable\":true}]}"'
answers $GENERIC monitor
says "more than one"
here $guest '"arriving":true,'
answers $NOT_RUNNING monitor
here 0
answers $NOT_RUNNING monitor
here $guest '' internal-error
answers $GENERIC monitor
says "internal-error"
answers $CONFIGURED monitor OCF_RESKEY_guest='a b'
answers $INSTALLED monitor OCF_RESKEY_binary=no-such-program

# --- start
for pid in 0 $guest; do
	play list "echo '{\"guests\":[{\"name\":\"vm1\",\"pid\":$pid,\"movable\":true,\"owner\":\"libvirt\",\"status\":\"running\"}]}'"
	answers $CONFIGURED start
	says "is one of libvirt's here"
done
not_here
vouched() { # yes or no: has it been said here that a peer is fenced?
	local yes=no
	! grep -v ^ssh "$DIR/asked" | grep -q peer-is-fenced || yes=yes
	assert_eq "$yes" "$1" "--peer-is-fenced ($SAID)"
}
no_start() { # REASON [MEMBERS]: prints what says so
	echo "echo '{\"guest\":\"vm1\",\"may_start\":false,\"reason\":\"$1\"${2:+,$2}}'; exit 3"
}
refuses() { # DEST: prints what does
	no_start "it went to $1 (long ago) with disks that both hosts see: it may run there" "\"gone_to\":\"$1\",\"gone_at\":$(date -u -d '2026-01-02 03:04:05' +%s),\"disks_shared\":true"
}
went_to() { # DEST
	play may-start "[ \"\$3\" = --peer-is-fenced ] && { $(no_start "its disk is open"); }" "$(refuses "$1")"
}
fenced() { # NODE TIME [STATUS [ACTION]]
	echo "<fence_event status=\"${3:-success}\" action=\"${4:-reboot}\" target=\"$1\" client=\"x\" origin=\"pa\" completed=\"$2\"/>" >"$DIR/fenced-$1"
}
nodes "pa member" "pb lost" "pc member"
went_to root@pb
answers $INSTALLED start
says "it went to root@pb"
vouched no # the node has left the cluster, and nothing else is known
for how in "2026-01-02 03:04:04Z" "2026-01-02 04:00:00 +01:00" "2026-01-02 03:04:06Z failed" "2026-01-02 03:04:06Z success on" "never"; do
	read -r day time status action <<<"$how"
	fenced pb "$day $time" $status $action
	answers $INSTALLED start TZ=UTC0
	vouched no # for it was fenced before the guest went there, or was not
done
for time in "2026-01-02 03:04:05Z" "2026-01-02 03:04:05.999999Z" "2026-01-03 00:00:00 +01:00"; do
	fenced pb "$time"
	answers $INSTALLED start TZ=UTC0
	vouched yes
done
fenced pb "$(date -u '+%F %TZ')"
for dest in root@pb pb ssh://root@pb:2222; do
	went_to $dest
	answers $INSTALLED start
	asked "may-start --json --peer-is-fenced $DIR/vm1.sh"
	says "its disk is open"
	! grep -q ^ssh "$DIR/asked" || fail "a node that was fenced is asked"
done
went_to root@10.0.0.2
answers $INSTALLED start OCF_RESKEY_dest=root@10.0.0.%n
vouched no
went_to root@pb
answers $INSTALLED start OCF_RESKEY_dest=root@10.0.0.%n
vouched yes # by its name
went_to root@10.0.0.2
fenced 2 "$(date -u '+%F %TZ')"
nodes "pa member" "2 lost"
answers $INSTALLED start OCF_RESKEY_dest=ssh://root@10.0.0.%n:22/
vouched yes
nodes "pa member" "pb lost" "pc member"
for dest in root@px ssh://root@px:22 root@pb.example.com ''; do # no nodes of the cluster
	went_to "$dest"
	answers $INSTALLED start
	vouched no
	says "may run there"
done
went_to root@pb
mv "$DIR/nodes" "$DIR/no-nodes"
answers $INSTALLED start
vouched no
mv "$DIR/no-nodes" "$DIR/nodes"
play may-start "$(no_start "it went to root@pb (long ago): what lies here is the old copy of then" '"gone_to":"root@pb","gone_at":1767323045')"
answers $INSTALLED start
vouched no
says "old copy"

# A node that is up is asked, and those that it knows of.
nodes "pa member" "pb member" "pc member" "pd lost"
went_to ssh://ferry@pb:2222
answers $INSTALLED start
says "(ssh://ferry@pb:2222 says: "
vouched no
play at-pb 'exit 0'
answers $INSTALLED start
asked "-l ferry -p 2222 pb PATH=\$PATH:/usr/local/sbin:/usr/local/bin 'vmferry' may-start --json  '$DIR/vm1.sh'"
vouched yes
went_to pb:7788
answers $INSTALLED start
asked "-l root -p 22 pb PATH"
passed_on() { # DEST: pb says that it went on from there
	play at-pb "case \$2 in *--peer-is-fenced*) ${2:-exit 0} ;; esac" "$(refuses "$1")"
}
passed_on root@px # by a person, to a host that is no node
answers $INSTALLED start
vouched no
says "it went to root@px"
passed_on root@pd
answers $INSTALLED start
vouched no
fenced pd "2026-01-02 03:04:06Z"
answers $INSTALLED start TZ=AKST9 # a time in seconds since 1970 does not depend on the zone
vouched yes
asked "may-start --json --peer-is-fenced '$DIR/vm1.sh'"
passed_on root@pd "$(no_start "its disk is open")"
answers $INSTALLED start
vouched no
says "its disk is open"
passed_on root@pc
play at-pc "$(no_start "it may run already: \\\"a\\\" is open")"
answers $INSTALLED start
vouched no
says 'root@pc says: it may run already: "a" is open'
play at-pc 'exit 0'
answers $INSTALLED start
vouched yes
play at-pc "$(refuses root@pb)"
answers $INSTALLED start # in a circle
vouched no
nodes "pa member" "pb lost" "pc member"

play may-start "[ ! -e '$DIR/settled' ] || { $(no_start "it went to pb"); }" \
	"$(no_start "a move of it to this host is not over (DST_BEGUN): vmferry-dst recover" '"unsettled":true')"
play recover 'touch "$DIR/settled"'
# Lines of `vmferry journal --json`.
leaves() { # GUEST TO PATH
	printf '{"path":"%s","guest":"%s","attempt":"01ab","to":"%s","pid":7}\n' "$3" "$1" "$2"
}
arrives() { # GUEST FROM PATH
	printf '{"path":"%s","guest":"%s","attempt":"01ab","from":"%s"}\n' "$3" "$1" "$2"
}
unread() { # PATH
	printf '{"path":"%s"}\n' "$1"
}
open_are() { # LINE...: whatever recover does
	printf '%s\n' "$@" >"$DIR/journals"
	play journal 'cat "$DIR/journals"'
}
open_till_settled() { # LINE...
	open_are "$@"
	play journal '[ -e "$DIR/settled" ] || cat "$DIR/journals"'
}
unsettled_with() { # yes or no, JOURNAL...: is it vouched for the other hosts of these?
	rm -f "$DIR/settled"
	open_are "${@:2}"
	answers $INSTALLED start
	says "it went to pb"
	asked "recover vm1"
	vouched "$1"
}
touch "$DIR"/{x-src,x-dst,y-src}.journal
fenced pb "$(date -u -d '+1 day' '+%F %TZ')"
unsettled_with yes "$(arrives vm1 pb $DIR/x-dst.journal)"
unsettled_with yes "$(leaves vm1 ssh://root@pb:22 $DIR/x-src.journal)" "$(arrives vm2 px $DIR/y-src.journal)"
unsettled_with no "$(arrives vm1 pb $DIR/no-such.journal)"
unsettled_with no "$(arrives vm1 px $DIR/x-dst.journal)"
unsettled_with no "$(arrives vm1 pc $DIR/x-dst.journal)"
unsettled_with no "$(arrives vm1 pb $DIR/x-dst.journal)" "$(leaves vm1 root@px $DIR/y-src.journal)"
unsettled_with no "$(arrives vm2 pb $DIR/x-dst.journal)"
unsettled_with no "$(unread $DIR/x-dst.journal)"
fenced pb "2026-01-02 03:04:06Z" # before that move
unsettled_with no "$(arrives vm1 pb $DIR/x-dst.journal)"
nodes "pa member" "pb member"
fenced pb "$(date -u -d '+1 day' '+%F %TZ')"
unsettled_with no "$(arrives vm1 pb $DIR/x-dst.journal)"
rm "$DIR/settled"
play journal 'exit 1'
answers $GENERIC start
says "vmferry journal fails"
play journal 'exit 0'
play may-start 'exit 2'
answers $GENERIC start
play may-start 'exit 3'
answers $INSTALLED start OCF_RESKEY_script=/no/such/script
answers $CONFIGURED start OCF_RESKEY_script=vm1.sh
echo '<op id="a" name="migrate_to" interval="0s" timeout="3600s"/>' >"$DIR/cib"
answers $CONFIGURED start
says "on-fail=block"
play may-start 'exit 0'
printf '<op id="%s" name="%s" interval="0s" on-fail="block"/>\n' a migrate_to b migrate_from >"$DIR/cib"
play list 'pid=$(cat "$DIR/started" 2>/dev/null) || { echo "{\"guests\":[],\"absent\":\"vm1\"}"; exit 1; }' \
	'echo "{\"guests\":[{\"name\":\"vm1\",\"pid\":$pid,\"movable\":true,\"status\":\"running\"}]}"'
printf '#!/bin/sh\necho $$ >"$DIR/starts" && mv "$DIR/starts" "$DIR/started"\nexec tail -f /dev/null\n' >"$DIR/vm1.sh"
answers $SUCCESS start
started=$(<"$DIR/started")
at_exit "kill $started 2>/dev/null"
[[ -e $DIR/run/owners/$started ]] || fail "the guest that was started is not noted as the cluster's"
read -r _ _ _ _ _ session _ <"/proc/$started/stat"
assert_eq "$session" "$started" "session of what was started"
rm "$DIR/started"
printf '#!/bin/sh\necho "no such disk" >&2\nexit 1\n' >"$DIR/vm1.sh"
answers $GENERIC start
says "no such disk"

# --- a guest that has left the cluster: each node notes that where the others can read it, and none starts it
noted() { # NODE TEXT, or -: what it has noted
	assert_eq "$(cat "$DIR/attribute-$1-vmferry-gone-vm1" 2>/dev/null || echo -)" "$2" "what $1 has noted"
}
note() { # NODE TEXT
	echo "$2" >"$DIR/attribute-$1-vmferry-gone-vm1"
}
nodes "pa member" "pb lost"
play journal 'exit 0'
not_here
play may-start "$(no_start "it went to root@pb" '"gone_to":"root@pb","gone_at":1767323045')"
answers $NOT_RUNNING monitor
noted pa - # to a node, which Pacemaker asks
play may-start 'echo "{\"guest\":\"vm1\",\"may_start\":true}"'
answers $NOT_RUNNING monitor
noted pa -
play may-start "$(no_start "it went to root@px" '"gone_to":"root@px","gone_at":1767323045')"
answers $NOT_RUNNING monitor
noted pa "1767323045 root@px"
here $guest '' postmigrate
answers $SUCCESS monitor # the guest is left alone
noted pa "1767323045 root@px"
rm "$DIR/attribute-pa-vmferry-gone-vm1"
for line in "$(leaves vm1 root@pb /x)" "$(unread /x)"; do
	open_are "$line"
	answers $SUCCESS monitor
	noted pa - # vmferry moves it, as far as is known
done
open_are "$(leaves vm2 root@pb /x)"
began=$(date +%s)
answers $SUCCESS monitor
read -r at to <"$DIR/attribute-pa-vmferry-gone-vm1"
[[ $at -ge $began && $to == '?' ]] || fail "it has noted: $at $to"
here $guest
answers $SUCCESS monitor # the guest goes on here after all
noted pa -
note pa "1 ?"
answers $SUCCESS migrate_from
noted pa -
# An entry of another node counts that is newer than this node's, or says that the guest went there.
not_here
play journal 'exit 0'
play may-start 'echo "{\"guest\":\"vm1\",\"may_start\":true,\"came_at\":1000}"; exit 0'
note pb "1000 ?"
answers $INSTALLED start
says "another program than vmferry has migrated guest vm1 away from pb: it may run there"
grep -q "certainly does not run there: crm_attribute --node pb --name vmferry-gone-vm1 --delete" "$DIR/err" || fail "the log does not say what to do: $(<"$DIR/err")"
note pb "1000 root@px"
answers $INSTALLED start
says "guest vm1 went from pb to root@px, which is no node"
printf '#!/bin/sh\necho "it is started" >&2\nexit 1\n' >"$DIR/vm1.sh"
note pb "999 ?"
answers $GENERIC start
says "it is started"
touch "$DIR/no-attributes"
answers $GENERIC start
says "cannot tell whether guest vm1 has left"
rm "$DIR/no-attributes"
went_to root@pb
play may-start "[ \"\$3\" = --peer-is-fenced ] && exit 0" "$(refuses root@pb)"
fenced pb "$(date -u '+%F %TZ')"
note pb "1767323046 ?" # a second after the guest went there
answers $INSTALLED start
says "migrated guest vm1 away from pb"
note pb "1767323044 ?"
answers $GENERIC start
says "it is started"
rm "$DIR/attribute-pb-vmferry-gone-vm1"
nodes "pa member" "pb lost" "pc member"

# --- migrate_to: the guest goes to pb, whatever comes of it
here $guest
play journal 'exit 0'
result() { # STATUS MEMBERS
	play migrate "echo '{\"event\":\"plan\"}'; echo '{\"event\":\"result\",$2}'; exit $1"
}
to_pb=(OCF_RESKEY_CRM_meta_migrate_target=pb OCF_RESKEY_CRM_meta_timeout=8000)
result 0 '"outcome":"migrated","where":"destination","reason":""'
answers $SUCCESS migrate_to "${to_pb[@]}" OCF_RESKEY_dest=ssh://root@%n:22
asked "migrate $guest ssh://root@pb:22 --owner pacemaker --json --reuse auto"
[[ ! -e $DIR/run/owners/$guest ]] || fail "the guest that has gone is noted as the cluster's here"
result 7 '"outcome":"migrated","where":"destination"'
answers $SUCCESS migrate_to "${to_pb[@]}"
for status in 1 3 4 5 6 8; do
	result $status '"outcome":"x","where":"destination","reason":"the link \"x\" is gone"'
	answers $GENERIC migrate_to "${to_pb[@]}"
	says "ended with $status: the link \"x\" is gone"
done
result 0 '"outcome":"disks-copied","where":"source"'
answers $GENERIC migrate_to "${to_pb[@]}"
play migrate 'exit 0'
answers $GENERIC migrate_to "${to_pb[@]}"
answers $GENERIC migrate_to OCF_RESKEY_CRM_meta_timeout=8000
answers $CONFIGURED migrate_to "${to_pb[@]}" OCF_RESKEY_options='--bwlimit 1M --detach'
open=$(leaves vm1 root@pb /var/lib/x.journal)
open_till_settled "$open"
play recover 'exit 1'
answers $GENERIC migrate_to "${to_pb[@]}"
says "open still"
not_moved() {
	! grep -q ^migrate "$DIR/asked" || fail "it is moved while it is undecided whose it is"
}
not_moved
play recover 'touch "$DIR/settled"; exit 1'
answers $GENERIC migrate_to "${to_pb[@]}"
asked "recover vm1"
asked "migrate $guest"
rm "$DIR/settled"
play recover 'exit 6'
answers $GENERIC migrate_to "${to_pb[@]}"
says "undecided"
not_moved
play recover 'echo "it is held by another process"; exit 3'
answers $GENERIC migrate_to "${to_pb[@]}"
says "ended with 3: it is held by another process"
not_moved
play journal 'exit 1'
answers $GENERIC migrate_to "${to_pb[@]}"
says "vmferry journal fails"
not_moved
for line in "$(leaves vm2 root@pb /x)" "$(arrives vm11 pb /x)"; do # entries of other guests
	open_are "$line"
	answers $GENERIC migrate_to "${to_pb[@]}"
	asked "migrate $guest"
done
play journal 'exit 0'
# Pacemaker kills at its timeout: vmferry hears SIGTERM before.
play migrate 'trap "echo \"{\\\"event\\\":\\\"result\\\",\\\"where\\\":\\\"source\\\",\\\"reason\\\":\\\"rolled back\\\"}\"; exit 1" TERM' \
	'sleep 30 & wait; kill $!'
answers $GENERIC migrate_to OCF_RESKEY_CRM_meta_migrate_target=pb OCF_RESKEY_CRM_meta_timeout=1000
says "rolled back (as the timeout of migrate_to, 1 s, came near)"

# --- migrate_from, stop
answers $SUCCESS migrate_from
not_here
answers $GENERIC migrate_from OCF_RESKEY_CRM_meta_timeout=0 OCF_RESKEY_CRM_meta_migrate_source=pa
says "pa"
answers $SUCCESS stop
[[ ! -e $DIR/run/owners/$guest ]] || fail "what is gone is noted as the cluster's"
play list 'exit 1'
answers $GENERIC stop
stays_open() { # recover's stand-in: a guest that a move brings is not reported as stopped
	open_till_settled "$(arrives vm1 pa /var/lib/x.journal)"
	play recover "$1"
	answers $GENERIC stop OCF_RESKEY_CRM_meta_timeout=1000
	says "$2"
	vouched no
}
here $guest '"arriving":true,'
stays_open 'echo "it is held by another process"; exit 3' "ended with 3: it is held by another process"
not_here # the guest is prepared, but no QEMU waits yet, or the source has sent its word to start it
stays_open 'echo "it is held by another process"; exit 3' "ended with 3: it is held by another process"
stays_open 'exit 6' undecided
stays_open 'exit 1' "open still"
play recover 'touch "$DIR/settled"; exit 1'
answers $SUCCESS stop
here $guest '"arriving":true,'
answers $GENERIC stop
says "a move is bringing guest vm1 here"
rm "$DIR/settled"
nodes "pa lost" "pb member" # pa has died, and is fenced
fenced pa "$(date -u -d '+1 day' '+%F %TZ')"
open_till_settled "$(arrives vm1 pa "$DIR/x-dst.journal")"
play recover 'touch "$DIR/settled"; exit 1'
answers $SUCCESS stop # `start` settles it
! grep -q ^recover "$DIR/asked" || fail "a guest that only this node can start is settled before"
open_are "$(arrives vm1 pa "$DIR/x-dst.journal")" "$(unread /var/lib/y.journal)"
answers $GENERIC stop OCF_RESKEY_CRM_meta_timeout=1000
rm "$DIR/settled"
not_here
open_till_settled "$(arrives vm1 pa "$DIR/x-dst.journal")"
nodes "pa lost" "pb member" "pc member"
answers $SUCCESS stop
asked "recover vm1 --peer-is-fenced"
rm "$DIR/settled"
play journal 'exit 0'
play list "kill -0 $guest 2>/dev/null || { echo '{\"guests\":[],\"absent\":\"vm1\"}'; exit 1; }" \
	"echo '{\"guests\":[{\"name\":\"vm1\",\"pid\":$guest,\"movable\":true}]}'"
still_runs() { # the stand-in of recover, or of journal
	answers $GENERIC stop OCF_RESKEY_CRM_meta_timeout=1000
	says "$1"
	kill -0 $guest || fail "a guest of which it is undecided whose it is was ended"
}
open_till_settled "$open"
play recover 'echo "undecided: root@pb does not answer"; exit 6'
still_runs undecided
for status in 2 3 5 126 127; do
	play recover "exit $status"
	still_runs "ended with $status"
done
open_are "$(unread /var/lib/x.journal)"
still_runs "ended with 127"
play journal 'exit 1'
still_runs "vmferry journal fails"
open_till_settled "$open"
play recover "echo 'the guest runs at root@pb'; kill $guest; while kill -0 $guest 2>/dev/null; do :; done; exit 7"
answers $SUCCESS stop
grep -q "does not run here: it is where its move has taken it (the guest runs at root@pb)" "$DIR/err" || fail "where is it? $(<"$DIR/err") asked $(<"$DIR/asked")"
tail -f /dev/null & # this process stands for a guest
guest=$!
at_exit "kill $guest 2>/dev/null"
play list "kill -0 $guest 2>/dev/null || { echo '{\"guests\":[],\"absent\":\"vm1\"}'; exit 1; }" \
	"echo '{\"guests\":[{\"name\":\"vm1\",\"pid\":$guest,\"movable\":true}]}'"
play recover 'touch "$DIR/settled"; exit 1'
answers $SUCCESS stop
! kill -0 $guest 2>/dev/null || fail "it was not ended"

# --- the rest
answers $SUCCESS meta-data
python3 -S -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$DIR/out"
answers $SUCCESS validate-all
answers $SUCCESS reload-agent
answers 3 promote
