# shellcheck shell=bash
# The tiny witness (tests/guest/tiny) as a guest: no Linux in it, ready a fraction of a second after QEMU starts, and one that runs under
# a KVM that is itself emulated. To be sourced after guest.sh or move.sh; orders, verification, moves are as theirs.
#
#   ACCEL      kvm or tcg                          (tcg)
#   CPU        of the guest, as QEMU's -cpu        (host under KVM, else QEMU's own)
#   MACHINE, MEM, SMP, WITNESS, READY_S   as in guest.sh; options in WITNESS: tests/guest/tiny/tiny.h

ACCEL=${ACCEL:-tcg}

tiny_launch() { # NAME [QEMU OPTION...]
	local name=$1 cpu=${CPU:-}
	local -a monitor=(-qmp "unix:$DIR/$1.qmp,server=on,wait=off")
	shift
	[[ -z ${NO_QMP:-} ]] || monitor=()
	[[ -n $cpu || $ACCEL != kvm ]] || cpu=host
	rm -f "$DIR/$name".{console,orders,qmp}
	"${ON[@]}" "$QEMU" -accel "$ACCEL" ${cpu:+-cpu "$cpu"} -machine "${MACHINE:-q35}" -m "${MEM:-256}" -smp "${SMP:-1}" \
		-display none -nodefaults -no-user-config -name "$name" \
		-serial "file:$DIR/$name.console" \
		-serial "unix:$DIR/$name.orders,server=on,wait=off" \
		"${monitor[@]}" \
		-kernel "$TOP/build/guest/tiny.elf" -append "$(witness_words)" "$@" </dev/null >"$DIR/$name.stderr" 2>&1 &
	guest_adopt "$name" $!
}

# The first start of a test under KVM is a trial, too: the test is skipped where there is no KVM, or one that does not run even this guest.
tiny_start() { # NAME [QEMU OPTION...]
	[[ $ACCEL != kvm || (-r /dev/kvm && -w /dev/kvm) ]] || skip "there is no /dev/kvm for this user"
	tiny_launch "$@"
	if [[ $ACCEL == kvm && -z ${KVM_RUNS:-} ]]; then
		wait_for "${READY_S:-180}" tiny_settled "$1" || true
		if [[ -z ${CPU:-} ]] && grep -q 'failed to set MSR 0x10a' "$DIR/$1.stderr"; then
			CPU=host,-arch-capabilities # a KVM that lists this MSR and does not have it
			tiny_launch "$@"
			wait_for "${READY_S:-180}" tiny_settled "$1" || true
		fi
		grep -asq '^witness ' "$DIR/$1.console" || skip "/dev/kvm does not run the tiny guest: $(head -n 1 "$DIR/$1.stderr")"
		KVM_RUNS=yes
	fi
	guest_wait_ready "$1"
}

tiny_settled() { # NAME
	local said=
	guest_settled "$1" && return
	{ read -rd '' said <"$DIR/$1.stderr"; } 2>/dev/null || true
	[[ $said == *'KVM internal error'* ]]
}

# How many pages and blocks its witness has written: a guest that went on where it was has not written fewer later.
tiny_written() { # NAME
	guest_order "$(orders "$1")" stats | sed -n 's/^stats ram_ops=\([0-9]*\) .* disk_ops=\([0-9]*\) .*/\1 \2/p'
}
