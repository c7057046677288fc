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
printf '#!/bin/sh\ncat "$DIR/fencing" 2>/dev/null\n' >"$DIR/bin/crm_attribute"
printf '#!/bin/sh\ncat "$DIR/cib" 2>/dev/null\n' >"$DIR/bin/crm_resource"
printf '#!/bin/sh\necho "1 pa member"; echo "2 pb lost"\n' >"$DIR/bin/crm_node"
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
	play list 'echo "vmferry: no guest vm1 runs here" >&2; exit 1'
}

here() { # PID [MEMBERS]
	play list "echo 'vmferry: a remark' >&2; echo '{\"guests\":[{\"name\":\"vm1\",\"pid\":$1,\"movable\":true,${2:-}\"owner\":\"plain\",\"disks\":[{\"path\":\"/a\"}],\"status\":\"${3:-running}\"}]}'"
}

sleep 100 &
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
vouched() { # yes or no: has it been said that a peer is fenced?
	local yes=no
	! grep -q peer-is-fenced "$DIR/asked" || yes=yes
	assert_eq "$yes" "$1" "--peer-is-fenced ($SAID)"
}
went_to() { # DEST
	play may-start '[ "$2" = --peer-is-fenced ] && { echo "vmferry: its disk is open" >&2; exit 3; }' \
		"echo 'vmferry: vm1 is not to be started here: it went to $1 (yesterday) with disks that both hosts see: it may run there. If it certainly does not: --peer-is-fenced' >&2; exit 3"
}
went_to root@pb
answers $INSTALLED start
says "it went to root@pb"
vouched no # nobody says that fencing is on
echo true >"$DIR/fencing"
for dest in root@pb pb ssh://root@pb:2222; do
	went_to $dest
	answers $INSTALLED start
	asked "may-start --peer-is-fenced $DIR/vm1.sh"
	says "its disk is open"
done
went_to root@10.0.0.2
answers $INSTALLED start OCF_RESKEY_dest=root@10.0.0.%n
vouched no
answers $INSTALLED start OCF_RESKEY_dest=ssh://root@10.0.0.2:22/%n
vouched yes
for dest in root@px ssh://root@px:22 root@pb.example.com ''; do # no nodes of the cluster
	went_to "$dest"
	answers $INSTALLED start
	vouched no
	says "may run there"
done
went_to root@pb
printf '#!/bin/sh\nexit 1\n' >"$DIR/bin/crm_node"
answers $INSTALLED start
vouched no
printf '#!/bin/sh\necho "1 pa member"; echo "2 pb lost"\n' >"$DIR/bin/crm_node"
echo false >"$DIR/fencing"
answers $INSTALLED start
vouched no
play may-start 'echo "vmferry: vm1 is not to be started here: it went to root@pb (yesterday): what lies here is the old copy" >&2; exit 3'
echo true >"$DIR/fencing"
answers $INSTALLED start
vouched no
says "old copy"
play may-start '[ ! -e "$DIR/settled" ] || { echo "vmferry: it went to pb" >&2; exit 3; }' \
	'echo "vmferry: a move of it to this host is not over (DST_BEGUN): vmferry-dst recover" >&2; exit 3'
play recover 'touch "$DIR/settled"'
unsettled_with() { # yes or no, JOURNAL...: is it vouched for the other hosts of these?
	rm -f "$DIR/settled"
	printf '%s\n' "${@:2}" >"$DIR/journals"
	play journal 'cat "$DIR/journals"'
	answers $INSTALLED start
	says "it went to pb"
	asked "recover vm1"
	vouched "$1"
}
unsettled_with yes "vm1 <- pa, attempt 01ab: /x-dst.journal"
unsettled_with yes "vm1 (pid 7) -> ssh://root@pb:22, attempt 01ab: /x-src.journal" "vm2 <- px, attempt 02: /y-dst.journal"
unsettled_with no "vm1 <- px, attempt 01ab: /x-dst.journal"
unsettled_with no "vm1 <- pa, attempt 01ab: /x-dst.journal" "vm1 (shut down) -> root@px, attempt 02: /y-src.journal"
unsettled_with no "vm2 <- pa, attempt 01ab: /x-dst.journal"
unsettled_with no "/x-dst.journal"
echo false >"$DIR/fencing"
unsettled_with no "vm1 <- pa, attempt 01ab: /x-dst.journal"
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
play list 'pid=$(cat "$DIR/started" 2>/dev/null) || { echo "vmferry: no guest vm1 runs here" >&2; exit 1; }' \
	'echo "{\"guests\":[{\"name\":\"vm1\",\"pid\":$pid,\"movable\":true,\"status\":\"running\"}]}"'
printf '#!/bin/sh\necho $$ >"$DIR/started"\nexec sleep 100\n' >"$DIR/vm1.sh"
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
	says "ended with $status: the link \\\"x\\\" is gone"
done
result 0 '"outcome":"disks-copied","where":"source"'
answers $GENERIC migrate_to "${to_pb[@]}"
play migrate 'exit 0'
answers $GENERIC migrate_to "${to_pb[@]}"
answers $GENERIC migrate_to OCF_RESKEY_CRM_meta_timeout=8000
answers $CONFIGURED migrate_to "${to_pb[@]}" OCF_RESKEY_options='--bwlimit 1M --detach'
open='echo "vm1 (pid 7) -> root@pb, attempt 01ab: /var/lib/x.journal"'
play journal "$open"
play recover 'exit 1'
answers $GENERIC migrate_to "${to_pb[@]}"
asked "recover vm1"
asked "migrate $guest"
play recover 'exit 6'
answers $GENERIC migrate_to "${to_pb[@]}"
says "undecided"
not_moved() {
	! grep -q ^migrate "$DIR/asked" || fail "it is moved while it is undecided whose it is"
}
not_moved
play recover 'echo "it is held by another process"; exit 3'
answers $GENERIC migrate_to "${to_pb[@]}"
says "ended with 3: it is held by another process"
not_moved
play journal 'exit 1'
answers $GENERIC migrate_to "${to_pb[@]}"
says "vmferry journal fails"
not_moved
for line in "vm2 (pid 7) -> root@pb, attempt 01ab: /x" "vm11 <- pb, attempt 01ab: /x"; do # of other guests
	play journal "echo '$line'"
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
play list "kill -0 $guest 2>/dev/null || { echo 'vmferry: no guest vm1 runs here' >&2; exit 1; }" \
	"echo '{\"guests\":[{\"name\":\"vm1\",\"pid\":$guest,\"movable\":true}]}'"
still_runs() { # what recover, or journal, does then
	answers $GENERIC stop
	says "$1"
	kill -0 $guest || fail "a guest of which it is undecided whose it is was ended"
}
play journal "$open"
play recover 'echo "undecided: root@pb does not answer"; exit 6'
still_runs undecided
for status in 2 3 5 126 127; do
	play recover "exit $status"
	still_runs "ended with $status"
done
play journal 'echo /var/lib/x.journal' # which cannot be read
still_runs "ended with 127"
play journal 'exit 1'
still_runs "vmferry journal fails"
play journal "$open"
play recover "echo 'the guest runs at root@pb'; kill $guest; exit 7"
answers $SUCCESS stop
grep -q "does not run here: it is where its move has taken it (the guest runs at root@pb)" "$DIR/err" || fail "where is it? $(<"$DIR/err")"
sleep 100 &
guest=$!
at_exit "kill $guest 2>/dev/null"
play list "kill -0 $guest 2>/dev/null || { echo 'vmferry: no guest vm1 runs here' >&2; exit 1; }" \
	"echo '{\"guests\":[{\"name\":\"vm1\",\"pid\":$guest,\"movable\":true}]}'"
play recover 'exit 1'
answers $SUCCESS stop
! kill -0 $guest 2>/dev/null || fail "it was not ended"

# --- the rest
answers $SUCCESS meta-data
python3 -S -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$DIR/out"
answers $SUCCESS validate-all
answers $SUCCESS reload-agent
answers 3 promote
