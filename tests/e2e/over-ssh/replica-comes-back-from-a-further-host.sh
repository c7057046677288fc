#!/bin/bash
# A guest's replica at host-b went on to a third host, another user's there, and the guest was taken over and stays there. Its replica is at host-b from then on: host-b takes those points, has no
# others go on, and whoever asks it is told.
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
	on_b chown -R root "$C_STATE"
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

at_c failover "$A" --peer-is-fenced
RUNS=$(python3 -S -c 'import json, sys; print(json.load(open(sys.argv[1]))["run"]["pid"])' "$(there "$FURTHER/$A.replica/replica.json")")
kill_at_exit "$RUNS"
on_b_says 3 'taken over at' ask "$A"
on_b_says 3 'taken over at' sync "$A"

# a removal at host-b keeps what C has told, also while C cannot be asked
onward=$(there /var/lib/vmferry/onward)
cp -a "$onward" "$DIR/onward"
sed -i "s/^to .*/to root@host-nowhere/" "$onward/replica/$A.conf"
on_b_says 0 'do not go on from here any more; the guest was taken over at .* stays known' remove "$A"
on_b_says 0 "the guest was taken over at $C, to which" list
cp -a "$DIR/onward/." "$onward"

at_c failover "$A" --complete
at_c reverse "$A" "root@$B_ADDRESS" --disk-dir "$AT"
grep -q 'point' "$DIR/out" || fail "reverse at C says: $(<"$DIR/out")"
on_b_says 0 'replica, in ' list
! grep -q 'go on to' "$DIR/out" || fail "points go on from host-b still: $(<"$DIR/out")"
[[ ! -e $(there /var/lib/vmferry/onward/replica/$A.conf) ]] || fail "settings of before are left at host-b"
at_c sync "$A"
at_c status "$A"
grep -q 'point 3 of' "$DIR/out" || fail "the replica at host-b has no third point: $(<"$DIR/out")"
on_a_says 3 'taken over at root@host-b in term 2' may-start "$VM/$A.sh"
