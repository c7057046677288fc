# shellcheck shell=bash
# For tests of guests with a TPM that a swtpm emulates; to be sourced after move.sh or aftermath.sh.
#
#   tpm_start NAME; APPEND=$TPM_APPEND guest_start NAME $TPM
#   tpm_write NAME WORD; ...; tpm_assert NAME      that it still holds, in memory and in what it keeps, what was written last
declare -A TPM_HELD=() # NAME: what its TPM holds, as the guest read it when it was written
declare -A TPM_WORD=()
TPM=     # QEMU's options for the one that was started last
TPM_PID=
TPM_APPEND=tpm_tis.force=1 # ACPI announces the TPM, which a kernel that was not begun by firmware may not have

command -v swtpm >/dev/null || skip "there is no swtpm: run scripts/install-deps"

# The TPM's directory and socket are DIR/NAME-tpm.
tpm_start() { # NAME [OPTION of swtpm...]: with none, --terminate
	local name=$1 dir=$DIR/$1-tpm before
	before=$(tpm_listeners "$dir/sock")
	shift
	[[ $# -gt 0 ]] || set -- --terminate
	mkdir -p "$dir"
	swtpm socket --tpmstate "dir=$dir" --ctrl "type=unixio,path=$dir/sock" --tpm2 "$@" </dev/null >"$dir/log" 2>&1 &
	TPM_PID=$!
	kill_at_exit "$TPM_PID"
	wait_for 60 tpm_listens "$dir/sock" "$before" || fail "the swtpm does not listen: $(<"$dir/log")"
	TPM="-chardev socket,id=chrtpm,path=$dir/sock -tpmdev emulator,id=tpm0,chardev=chrtpm -device ${TPM_DEVICE:-tpm-tis},tpmdev=tpm0"
}

tpm_listeners() { # SOCKET: prints how many listen there, those included whose file was renamed since
	grep -c " 00010000 0001 01 *[0-9]* $1\$" /proc/net/unix || true
}

tpm_listens() { # SOCKET [COUNT]: more than COUNT do, 0 without
	[[ $(tpm_listeners "$1") -gt ${2:-0} ]]
}

tpm_read() { # NAME: prints a PCR, and what is stored
	guest_order "$(orders "$1")" tpm | sed -n 's/^tpm //p'
}

tpm_write() { # NAME WORD
	guest_order "$(orders "$1")" "tpm-extend $2" >/dev/null
	guest_order "$(orders "$1")" "tpm-store $2" >/dev/null
	TPM_WORD[$1]=$2
	TPM_HELD[$1]=$(tpm_read "$1")
	[[ ${TPM_HELD[$1]} == pcr=*[1-9A-F]*" stored=$2" ]] || fail "the TPM does not take what is written: ${TPM_HELD[$1]}"
}

tpm_assert() { # NAME
	assert_eq "$(tpm_read "$1")" "${TPM_HELD[$1]}" "what the TPM of $1 holds"
}

tpms() { # prints the pids of all swtpms of this test
	pgrep -f "^[^ ]*swtpm socket .*$DIR/" | sort
}

assert_tpms() { # COUNT
	tpms_are() { [[ $(tpms | wc -l) -eq $1 ]]; }
	wait_for 60 tpms_are "$1" || fail "swtpms of this test: $(tpms | xargs -r ps -o pid=,args= -p); $1 should be"
}

# Makes swtpms that a move has started end with the test, too.
tpm_adopt() {
	local pid
	for pid in $(tpms); do kill_at_exit "$pid"; done
}
