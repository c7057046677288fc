#!/bin/bash
# A TPM that cannot be taken along: refused before anything is touched, with the reason. What does not go along of one that can is told.
. "$(dirname "$0")/../../lib/aftermath.sh"
. "$(dirname "$0")/../../lib/tpm.sh"

refused() { # WORDS [OPTION...]
	move_start a local "${@:2}"
	move_wait 3
	assert_result "'''$1''' in r['reason']"
	assert_at_source
}

(umask 077 && head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$DIR/key")
tpm_start a --key "file=$DIR/key,mode=aes-cbc,format=hex" --log "file=$DIR/tpm.log"
guest_a $TPM
refused "its state is encrypted with a key of this host (--key)"
refused "its state is encrypted with a key of this host (--key)" --how warm

again() { # [OPTION of swtpm...]: the guest, with another TPM
	guest_stop a
	wait_for 10 process_is_gone "$TPM_PID" || kill_now "$TPM_PID"
	rm -r "$DIR/a-tpm"
	unset 'GUEST_AT[a]'
	tpm_start a "$@"
	guest_a $TPM
}

# a bundle has no place for what is in it
! vmferry export "${GUEST_PID[a]}" "$DIR/bundle" </dev/null >"$DIR/export.out" 2>&1 || fail "it is exported"
grep -q "goes along only when the guest is moved" "$DIR/export.out" || fail "why it is not exported: $(<"$DIR/export.out")"
assert_at_source

# which swtpm it is cannot be told
kill_now "$TPM_PID"
refused "no swtpm of this user has that socket"
again --terminate --log "file=$DIR/tpm.log"
first=$TPM_PID
mv "$DIR/a-tpm/sock" "$DIR/a-tpm/old"
refused "cannot look at the socket of the guest's TPM"
tpm_start a
refused "more than one swtpm has the socket"
kill_now "$TPM_PID"
mv "$DIR/a-tpm/old" "$DIR/a-tpm/sock"
TPM_PID=$first

# settings that do not go along are reported
move a local
tpm_adopt
assert_result 'any("runs without --log" in n for n in notices)'
assert_result "r['tpm_left'] == {'dir': '$DIR/a-tpm'}"
assert_tpms 1

# a swtpm that does not end with its QEMU is reported
again --pid "file=$DIR/tpm.pid"
move a local
tpm_adopt
assert_result "r['tpm_left'] == {'dir': '$DIR/a-tpm', 'pid': $TPM_PID}"
assert_tpms 2
