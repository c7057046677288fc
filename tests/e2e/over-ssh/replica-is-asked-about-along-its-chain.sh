#!/bin/bash
# A guest's replica at host-b goes on to a third host, and from there to a fourth; these two are other users' there. Who asks host-b hears of a takeover at the fourth, through all of them, and once it
# was thrown away hears of that. When the guest has stayed at the fourth, and has its replica at the third from then on, the old points say no more that it was not taken over.
# timeout: 400
. "$(dirname "$0")/../../lib/over-ssh.sh"
hosts_start
on_b mount -t tmpfs -o mode=755 programs /usr/local/bin
printf '#!/bin/sh\nexec "%s" "$@"\n' "$QEMU_IMG" >"$(there /usr/local/bin/qemu-img)"
cp "$BIN/vmferry" "$BIN/vmferry-dst" "$(there /usr/local/bin)"
chmod 755 "$(there /usr/local/bin/qemu-img)" "$(there /usr/local/bin/vmferry)" "$(there /usr/local/bin/vmferry-dst)"
on_b umount "$TOP/build/guest"
A=o$$ # others of this machine may have guests, too
declare -A HOME_OF=([ferry]=$HOME_FERRY [delta]=/var/lib/host/delta) AT=([root]=$VM/r [ferry]=$VM/c [delta]=$VM/d)

# a fourth user of host-b, who logs in as ferry does
echo 'delta:x:1733:1733::/var/lib/host/delta:/bin/sh' >>"$HOSTS/passwd"
echo 'delta:x:1733:' >>"$HOSTS/group"
echo 'delta:*:19000:0:99999:7:::' >>"$HOSTS/shadow"
on_b cp -a "$HOME_FERRY" "${HOME_OF[delta]}"
for user in root ferry delta; do
	home=${HOME_OF[$user]:-$HOME_B}
	mkdir "$(there "${AT[$user]}")"
	cp "$(at_a "$HOME_A/.ssh/id_ed25519")" "$(at_a "$HOME_A/.ssh/known_hosts")" "$(there "$home/.ssh")"
	on_b chown -R "$user:$user" "$home" "${AT[$user]}"
done

ssh_guest "$A"

on_a_says() { # STATUS WORDS SUBCOMMAND [WORD...]: vmferry at host-a
	local status=0
	vmferry_on_a "${@:3}" </dev/null >"$DIR/out" 2>&1 || status=$?
	[[ $status -eq $1 ]] && { [[ -z $2 ]] || grep -qE -- "$2" "$DIR/out"; } || fail "vmferry ${*:3} at host-a: exit code $status, not $1 and '$2': $(tail -n 4 "$DIR/out")"
}

user_says() { # USER STATUS WORDS SUBCOMMAND [WORD...]: vmferry replica of that user of host-b, run by root, who can read the guest's kernel wherever this checkout is; what is there stays its user's
	local status=0 state=/var/lib/vmferry runtime=/run/vmferry
	[[ $1 == root ]] || state=${HOME_OF[$1]}/.local/state/vmferry runtime=$DIR/$1-run
	on_b mkdir -p "$state"
	on_b chown -R root "$state" "${AT[$1]}"
	on_b env VMFERRY_STATE_DIR="$state" VMFERRY_RUNTIME_DIR="$runtime" PATH="/usr/local/bin:$PATH" vmferry replica "${@:4}" </dev/null >"$DIR/out" 2>&1 || status=$?
	on_b chown -R "$1" "${AT[$1]}" "$state" "${HOME_OF[$1]:-$HOME_B}"
	[[ $status -eq $2 ]] && { [[ -z $3 ]] || grep -qE -- "$3" "$DIR/out"; } || fail "vmferry replica ${*:4} of $1: exit code $status, not $2 and '$3': $(tail -n 4 "$DIR/out")"
}

runs_at_d() { # failover there
	user_says delta 0 '' failover "$A" --peer-is-fenced
	RUNS=$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$(there "${AT[delta]}/$A.replica/replica.json")")
	kill_at_exit "$RUNS"
}

on_a_says 0 'replica' replica add "$A" root@host-b --disk-dir "${AT[root]}"
tr '\0' '\n' <"/proc/${GUEST_PID[$A]}/cmdline" | sed "s/'/'\\\\''/g; s/.*/'&'/" | xargs -d '\n' printf '%s ' >"$VM/$A.sh"
sed -i '1i #!/bin/sh' "$VM/$A.sh"
chmod 755 "$VM/$A.sh"
kill -KILL "${GUEST_PID[$A]}"
wait_for 60 process_is_gone "${GUEST_PID[$A]}"
user_says root 0 'its points go on to' add "$A" "ferry@$B_ADDRESS" --disk-dir "${AT[ferry]}"
user_says ferry 0 'its points go on to' add "$A" "delta@$B_ADDRESS" --disk-dir "${AT[delta]}"
on_a_says 0 '' may-start "$VM/$A.sh"
! grep -q 'cannot tell' "$DIR/out" || fail "not all of the chain is asked: $(<"$DIR/out")"

# taken over at the fourth host: each hears of it by those between
runs_at_d
user_says root 3 "go on from ferry@.* to delta@.*, and it was taken over at delta@" ask "$A"
on_a_says 3 'taken over at ferry@|taken over at delta@' may-start "$VM/$A.sh"

# the run was thrown away: a host that is asked asks again, from the end of the chain
user_says delta 0 '' failover "$A" --cancel
user_says ferry 0 'no newer point' sync "$A"
user_says root 0 'no newer point' sync "$A"
rm "$VMFERRY_STATE_DIR/replica/$A.json"
on_a_says 0 '' may-start "$VM/$A.sh"
! grep -q 'cannot tell' "$DIR/out" || fail "not all of the chain is asked: $(<"$DIR/out")"

# the guest stays there, and its replica is at the third host from now on, whose points are no longer the old ones
runs_at_d
user_says delta 0 '' failover "$A" --complete
user_says delta 0 'point' reverse "$A" "ferry@$B_ADDRESS" --disk-dir "${AT[ferry]}"
on_a_says 3 'taken over at ferry@.* in term 2' may-start "$VM/$A.sh"
user_says root 3 'taken over at ferry@.* in term 2' ask "$A"
user_says root 3 'taken over at ferry@.* in term 2' failover "$A" --peer-is-fenced
user_says root 3 'taken over at ferry@.* in term 2' sync "$A"
