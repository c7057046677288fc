#!/bin/bash
# Over SSH, at a host that has nothing of ours running: a replica of a guest, whose points are made there; what a run from one lacks there is told while the primary
# lives; a trial, and the guest itself once the primary is lost, both by a vmferry of that host.
# timeout: 300
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
on_b mount -t tmpfs -o mode=755 programs /usr/local/bin
printf '#!/bin/sh\nexec "%s" "$@"\n' "$QEMU_IMG" >"$(there /usr/local/bin/qemu-img)"
cp "$BIN/vmferry" "$(there /usr/local/bin/vmferry)"
chmod 755 "$(there /usr/local/bin/qemu-img)" "$(there /usr/local/bin/vmferry)"
AT=$VM/r # sockets have short names
mkdir "$(there "$AT")"
A=o$$ # others of this machine may have guests, too
ssh_guest "$A"

replica_on_a() { # SUBCOMMAND [WORD...]
	vmferry_on_a replica "$@" </dev/null >"$DIR/replica.json" 2>"$DIR/replica.log" || fail "replica $1: $(tail -n 3 "$DIR/replica.json" "$DIR/replica.log")"
}

replica_on_b() { # SUBCOMMAND [WORD...]
	on_b env -u VMFERRY_STATE_DIR -u VMFERRY_RUNTIME_DIR PATH="/usr/local/bin:$PATH" vmferry replica "$@" </dev/null
}

of_primary() { # EXPRESSION over p, what the primary knows
	"$BIN/vmferry" replica status "$A" --json | python3 -S -c 'import json, sys
p = json.load(sys.stdin)[0]
print(eval(sys.argv[1]))' "$1"
}

runs_at() { # KIND: the pid of the QEMU that runs from a point
	python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]]["pid"])' "$(there "$AT/$A.replica/replica.json")" "$1"
}

replica_on_a add "$A" root@host-b --disk-dir "$AT" --keep 2 --json
assert_eq "$(of_primary 'p["point"], p["would_start"]["start"], p["health"]')" "(1, False, 'warning')" "what is known at first"
assert_eq "$(of_primary '[w for w in p["would_start"]["why"] if "/guest/" not in w]')" "[]" "what is in the way, but for the guest's kernel"
on_b umount "$TOP/build/guest"
for _ in 1 2; do replica_on_a sync "$A" --json; done
HOME_A='' replica_on_a sync "$A" --json # a unit of the system's has none
assert_eq "$(of_primary 'p["point"], p["whole"], p["would_start"]["start"], p["health"]')" "(4, False, True, 'normal')" "once it is there"
[[ -z $(ls -A "$(there "$HOME_B/.cache/vmferry")" 2>/dev/null) ]] || fail "the agent is left on host-b"
replica_on_b status "$A" >"$DIR/out"
grep -q 'would start here: yes' "$DIR/out" || fail "the replica's host says: $(cat "$DIR/out")"
grep -q '2 points' "$DIR/out" || fail "not two points: $(cat "$DIR/out")"

replica_on_b test "$A" >"$DIR/out" 2>&1 || fail "test: $(cat "$DIR/out")"
kill_at_exit "$(runs_at test)"
wait_for 60 grep -aq '^witness ready' "$(there "$AT/$A.replica/test/$A.console")" || fail "the trial does not come up"
replica_on_b test "$A" --end >"$DIR/out" 2>&1 || fail "end: $(cat "$DIR/out")"
replica_on_b test "$A" --for 1s >"$DIR/out" 2>&1 || fail "a trial for a second: $(cat "$DIR/out")"
grep -q 'is over' "$DIR/out" || fail "a trial for a second says: $(cat "$DIR/out")"
[[ ! -e $(there "$AT/$A.replica/test") ]] || fail "it is not over"
replica_on_a sync "$A" --json

# the primary's host has it, and nobody has taken it over
tr '\0' '\n' <"/proc/${GUEST_PID[$A]}/cmdline" | sed "s/'/'\\\\''/g; s/.*/'&'/" | xargs -d '\n' printf '%s ' >"$VM/$A.sh"
sed -i '1i #!/bin/sh' "$VM/$A.sh"
chmod 755 "$VM/$A.sh"
may_start() { # STATUS WORDS
	local status=0
	vmferry_on_a may-start "$VM/$A.sh" >"$DIR/out" 2>"$DIR/err" || status=$?
	[[ $status -eq $1 ]] && grep -qE -- "$2" "$DIR/out" "$DIR/err" || fail "may-start: exit code $status, not $1 and '$2': $(cat "$DIR/out" "$DIR/err")"
}

# the primary is lost
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"

# the replica's host cannot be asked (before the guest runs there: these hosts see each other's processes)
replica_on_a set "$A" start-alone=no
conf=$VMFERRY_STATE_DIR/replica/$A.conf
sed -i 's/^to .*/to root@host-nowhere/' "$conf"
may_start 3 'cannot tell whether .*, which is an obstacle'
replica_on_a set "$A" start-alone=yes
may_start 0 'cannot tell whether the guest was taken over at root@host-nowhere'
sed -i 's/^to .*/to root@host-b/' "$conf"

replica_on_b failover "$A" --peer-is-fenced >"$DIR/out" 2>&1 || fail "failover: $(cat "$DIR/out")"
kill_at_exit "$(runs_at run)"
wait_for 60 grep -aq '^witness ready' "$(there "$AT/$A.console")" || fail "it does not come up there"
replica_on_b status "$A" --json | grep -q '"term": *2' || fail "its term is not raised"

# the primary has the old copy: it asks, and remembers, as at a boot: no host answers there yet, and then one does
sshd_stop
vmferry_on_a may-start --wait 300 "$VM/$A.sh" >"$DIR/waits" 2>&1 &
WAITS=$!
wait_for 60 grep -q 'cannot be asked yet' "$DIR/waits" || fail "may-start does not wait: $(cat "$DIR/waits")"
sshd_start
status=0
wait "$WAITS" || status=$?
[[ $status -eq 3 ]] && grep -q 'taken over at root@host-b in term 2' "$DIR/waits" || fail "after the wait: exit code $status, $(cat "$DIR/waits")"
rm -f "$VMFERRY_STATE_DIR/replica/$A.json"
HOME_A='' may_start 3 'taken over at root@host-b in term 2.* the old copy'
sed -i 's/^to .*/to root@host-nowhere/' "$conf"
may_start 3 'what lies here is the old copy'

# its service learns it, too, though no guest runs there (nor anywhere that these hosts, which see each other's processes, could see)
sed -i 's/^to .*/to root@host-b/' "$conf"
rm -f "$VMFERRY_STATE_DIR/replica/$A.json"
end_process "$(runs_at run)"
! vmferry_on_a replica sync "$A" --json </dev/null >"$DIR/replica.json" 2>"$DIR/replica.log" || fail "a guest that does not run has a point"
assert_eq "$(of_primary 'p["replaced"], p["health"]')" "(True, 'critical')" "what the service has learnt"

# the run is thrown away there: the primary hears of it as its guest is to be started, without a word of anybody's
replica_on_b failover "$A" --cancel >"$DIR/out" 2>&1 || fail "cancel: $(cat "$DIR/out")"
sed -i 's/^to .*/to root@host-nowhere/' "$conf"
may_start 3 'what lies here is the old copy' # it cannot ask
sed -i 's/^to .*/to root@host-b/' "$conf"
HOME_A='' may_start 0 'may be started here'
