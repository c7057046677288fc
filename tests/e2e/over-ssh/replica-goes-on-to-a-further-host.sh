#!/bin/bash
# A guest's replica at host-b goes on to a third host, which is another user's there. Once the guest was taken over at that one, whoever asks host-b is told, as it asks on; nothing is run from
# the points at host-b, nor taken there of its primary. After that run was thrown away all of it goes on.
# timeout: 400
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
on_b mount -t tmpfs -o mode=755 programs /usr/local/bin
printf '#!/bin/sh\nexec "%s" "$@"\n' "$QEMU_IMG" >"$(there /usr/local/bin/qemu-img)"
cp "$BIN/vmferry" "$BIN/vmferry-dst" "$(there /usr/local/bin)"
chmod 755 "$(there /usr/local/bin/qemu-img)" "$(there /usr/local/bin/vmferry)" "$(there /usr/local/bin/vmferry-dst)"
on_b umount "$TOP/build/guest"
AT=$VM/r FURTHER=$VM/c C_STATE=$HOME_FERRY/.local/state/vmferry
mkdir "$(there "$AT")" "$(there "$FURTHER")"
on_b chown ferry "$FURTHER"
cp "$(at_a "$HOME_A/.ssh/id_ed25519")" "$(at_a "$HOME_A/.ssh/known_hosts")" "$(there "$HOME_B/.ssh")"
A=o$$ # others of this machine may have guests, too
C=ferry@$B_ADDRESS
ssh_guest "$A"

on_a_says() { # STATUS WORDS SUBCOMMAND [WORD...]: vmferry at host-a
	local status=0
	vmferry_on_a "${@:3}" </dev/null >"$DIR/out" 2>&1 || status=$?
	[[ $status -eq $1 ]] && { [[ -z $2 ]] || grep -qE -- "$2" "$DIR/out"; } || fail "vmferry ${*:3} at host-a: exit code $status, not $1 and '$2': $(tail -n 4 "$DIR/out")"
}

on_b_says() { # STATUS WORDS SUBCOMMAND [WORD...]: vmferry replica at host-b
	local status=0
	on_b env -u VMFERRY_STATE_DIR -u VMFERRY_RUNTIME_DIR PATH="/usr/local/bin:$PATH" vmferry replica "${@:3}" </dev/null >"$DIR/out" 2>&1 || status=$?
	[[ $status -eq $1 ]] && { [[ -z $2 ]] || grep -qE -- "$2" "$DIR/out"; } || fail "vmferry replica ${*:3} at host-b: exit code $status, not $1 and '$2': $(tail -n 4 "$DIR/out")"
}

at_c() { # SUBCOMMAND [WORD...]: by root, who can read the guest's kernel wherever this checkout is, and what is there stays its user's
	on_b chown -R root "$FURTHER" "$C_STATE"
	on_b env VMFERRY_STATE_DIR="$C_STATE" VMFERRY_RUNTIME_DIR="$DIR/c-run" PATH="/usr/local/bin:$PATH" vmferry replica "$@" </dev/null >"$DIR/out" 2>&1 || fail "replica $1 at C: $(tail -n 3 "$DIR/out")"
	on_b chown -R ferry "$FURTHER" "$C_STATE"
}

on_a_says 0 'replica' replica add "$A" root@host-b --disk-dir "$AT"
tr '\0' '\n' <"/proc/${GUEST_PID[$A]}/cmdline" | sed "s/'/'\\\\''/g; s/.*/'&'/" | xargs -d '\n' printf '%s ' >"$VM/$A.sh"
sed -i '1i #!/bin/sh' "$VM/$A.sh"
chmod 755 "$VM/$A.sh"
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"

on_b_says 0 'its points go on to' add "$A" "$C" --disk-dir "$FURTHER"
on_b_says 0 'its points here go on to .*: ' status "$A"
on_b_says 0 'it was not taken over at' ask "$A"
on_a_says 0 '' may-start "$VM/$A.sh"

# C cannot be reached: whoever is asked at host-b cannot tell, which is for --start-alone to decide
conf=$(there /var/lib/vmferry/onward/replica/$A.conf)
sed -i "s/^to .*/to root@host-nowhere/" "$conf"
on_a_says 0 'cannot tell whether .*: its points go on from there to' may-start "$VM/$A.sh"
on_a_says 0 '' replica set "$A" start-alone=no
on_a_says 3 'which is an obstacle' may-start "$VM/$A.sh"
on_a_says 0 '' replica set "$A" start-alone=yes
on_b_says 3 'cannot tell.*--further-is-fenced' failover "$A" --peer-is-fenced
on_b_says 3 'cannot tell.*--peer-is-fenced' remove "$A"
sed -i "s/^to .*/to $C/" "$conf"

at_c failover "$A" --peer-is-fenced
RUNS=$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$(there "$FURTHER/$A.replica/replica.json")")
kill_at_exit "$RUNS"
wait_for 60 grep -aq '^witness ready' "$(there "$FURTHER/$A.console")" || fail "it does not come up at C"
mv "${conf%.conf}.json" "$DIR/noted"
mkdir "${conf%.conf}.json" # a word of C that cannot be noted counts all the same, whoever vouches for C
on_b_says 3 'taken over at .*' failover "$A" --peer-is-fenced --further-is-fenced
on_b_says 3 'taken over at .*' remove "$A" # the word would be forgotten
rmdir "${conf%.conf}.json"
mv "$DIR/noted" "${conf%.conf}.json"
on_a_says 3 'go on from root@host-b to .*, and it was taken over at .*the old copy' may-start "$VM/$A.sh"
on_b_says 3 'taken over at' ask "$A"
on_b_says 3 'taken over at .*' failover "$A" --peer-is-fenced
on_b_says 3 'taken over at' sync "$A"
on_b_says 0 'critical' list
sed -i "s/^to .*/to root@host-nowhere/" "$conf" # known facts stay known
on_b_says 3 'was taken over at .*, to which its points' failover "$A" --peer-is-fenced
on_b_says 3 'was taken over at .*, to which its points went on from here before' sync "$A"
sed -i "s/^to .*/to $C/" "$conf"
on_b_says 2 'is for where it runs' set "$A" disk=d0=empty

# A is started all the same, and host-b takes nothing of it (these hosts see each other's processes, so C's has ended)
kill -KILL "$RUNS"
wait_for 60 process_is_gone "$RUNS"
rm -f "$VMFERRY_STATE_DIR/replica/$A.json"
ssh_guest "$A"
on_a_says 3 'replaced: .* where its replica here goes on to' replica sync "$A"

# that run is thrown away: once host-b has heard of it points are made again
at_c failover "$A" --cancel
on_b_says 0 'no newer point' sync "$A"
on_b_says 0 'it was not taken over' ask "$A"
on_a_says 0 'point' replica sync "$A"
on_b_says 0 'point' sync "$A"

# taken over at host-b: once the guest has disks of its own there, its replica at C is made of them, and C knows it again
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
on_a_says 0 '' may-start "$VM/$A.sh"
sed -i "s/^to .*/to root@host-nowhere/" "$conf"
on_b_says 3 'cannot tell.*--further-is-fenced' failover "$A" --peer-is-fenced
on_b_says 0 'runs here from point 2' failover "$A" --peer-is-fenced --further-is-fenced
sed -i "s/^to .*/to $C/" "$conf"
runs_at() { # DIRECTORY of the points
	RUNS=$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$(there "$1/$A.replica/replica.json")")
	kill_at_exit "$RUNS"
}
runs_at "$AT"
on_b_says 3 'was taken over here, so no point of its primary goes on' sync "$A"

# the guest ends there, as that host is lost, and is taken over at C: host-b's points of it are thrown away, and no points of A are taken
# all the same
ends() {
	kill -KILL "$RUNS"
	wait_for 60 process_is_gone "$RUNS"
}
ends
at_c failover "$A" --peer-is-fenced
runs_at "$FURTHER"
on_b_says 3 'taken over at' failover "$A" --peer-is-fenced
on_b_says 0 'its primary may go on' failover "$A" --cancel
ends
on_a_says 3 "taken over at $C, to which" may-start "$VM/$A.sh"
rm "$VMFERRY_STATE_DIR/replica/$A.json"
ssh_guest "$A"
on_a_says 3 'replaced: .* where its replica here goes on to' replica sync "$A"
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
rm "$VMFERRY_STATE_DIR/replica/$A.json"
at_c failover "$A" --cancel
on_b_says 0 'no newer point' sync "$A"
on_b_says 0 'runs here from point 2' failover "$A" --peer-is-fenced
runs_at "$AT"
on_b_says 0 'disks of its own|own disks' failover "$A" --complete
on_b_says 0 '' reverse "$A" "$C" --disk-dir "$FURTHER"
on_b_says 0 "primary, its replica is at $C" list
[[ ! -e $conf ]] || fail "settings of before are left: $conf"
on_b_says 0 'point 3 of' status "$A"
on_a_says 3 'taken over at root@host-b' may-start "$VM/$A.sh"
