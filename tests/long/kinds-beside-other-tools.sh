#!/bin/bash
# Kinds of transfer beside the tools that one would use by hand, on the same image, link and file system, in turns. A tool that is faster
# than vmferry by more than 15 % of the time, at the median of REPEAT (3), fails the test; every copy is compared, bit for bit.
# timeout: 1800
#
# The image is raw: SIZE_MB (1024) of real files (the machine's /usr) in a file of twice the size, the rest of which is a hole. Each tool has done when
# what it has written is on stable storage; vmferry's figure is its whole run, with all its checks, digests and journals. DISKS says where images
# are (build/tmp), LINK what is between the hosts (unshaped).
#
#   cold     a guest that is shut down goes to another host. Beside `rsync -S` to a daemon there, and `qemu-img convert` to a qemu-nbd there
#   storage  a running guest's disk goes to another path here. Beside blockdev-mirror and its pivot, given by QMP
#   warm     a running guest is shut down, and boots there: how long it is away. Beside what it takes to shut down and boot here; a second more is allowed
#   export   a guest that is shut down becomes a bundle here. Beside `qemu-img convert` to qcow2, with -c for --compress
. "$(dirname "$0")/../lib/lab.sh"
enter_lab "${LINK:-unshaped}" "$0" "$@"
. "$(dirname "$0")/../lib/move.sh"
. "$(dirname "$0")/../lib/tiny.sh"

REPEAT=${REPEAT:-3} SIZE_MB=${SIZE_MB:-1024} MARGIN=1.15
PORT=10809
QEMU_NBD=${QEMU_NBD:-$TOP/build/qemu/bin/qemu-nbd}
declare -A TIMES=() SPARE=([warm]=1)
for tool in rsync "$QEMU_NBD"; do
	command -v "$tool" >/dev/null || skip "no $tool: scripts/install-deps --check"
done

mkdir -p "${DISKS:=$TOP/build/tmp}" # build/tmp, as TMPDIR may be memory
IMAGES=$(mktemp -d "$DISKS/kinds.XXXXXX")
at_exit "[[ -n \${KEEP:-} ]] || rm -rf '$IMAGES'"
mkdir "$IMAGES"/{src,dst}
SOURCE=$IMAGES/src/a.raw

make_source() {
	tar -c --ignore-failed-read -C / usr/bin usr/lib usr/share 2>/dev/null | head -c "${SIZE_MB}M" >"$SOURCE" || true
	[[ $(stat -c %s "$SOURCE") -eq $((SIZE_MB << 20)) ]] || skip "there is less than $SIZE_MB MiB of files in /usr"
	truncate -s $((2 * SIZE_MB))M "$SOURCE"
	sync "$SOURCE"
}

make_script() {
	{
		printf '#!/bin/sh\ncd / || exit\nexec %s' "$QEMU"
		printf ' %q' -accel tcg -machine q35 -m 64 -name a -display none -nodefaults -qmp "unix:$IMAGES/src/a.qmp,server=on,wait=off" \
			-drive "file=$SOURCE,format=raw,if=virtio"
		echo
	} >"$IMAGES/src/a.sh"
	chmod 700 "$IMAGES/src/a.sh"
}

assert_copied() { # IMAGE
	cmp "$SOURCE" "$1" || fail "the copy is not the same"
	rm "$1"
}

on_stable_storage() { # FILE
	sync "$1" "${1%/*}"
}

# --- cold: each copies the image once, and leaves it as COPY ----------------------------------------------------------------

cold_by_vmferry() {
	"${AT_SRC[@]}" "$BIN/vmferry" migrate "$IMAGES/src/a.sh" "${AGENT[dst]}" --how cold --disk-dir "$IMAGES/dst" --json -v "${FERRY_OPTIONS[@]}" \
		</dev/null >"$DIR/move.json" 2>"$DIR/move.log" || fail "vmferry: $(tail -n 3 "$DIR/move.log")"
}

again_at_rest() { # after that
	mv "$(result 'r["set_aside"]["to"]')" "$IMAGES/src/a.sh"
	rm "$IMAGES/dst/a.sh"
}

cold_by_rsync() {
	"${AT_SRC[@]}" rsync -S --whole-file "$SOURCE" "rsync://${ADDRESS[dst]}/images/" || fail "rsync"
	on_stable_storage "$COPY"
}

cold_by_convert() {
	"${AT_SRC[@]}" "$QEMU_IMG" convert -n --target-is-zero -W -f raw -O raw "$SOURCE" "nbd://${ADDRESS[dst]}:$PORT/copy" || fail "qemu-img"
	on_stable_storage "$COPY"
}

nbd_begin() { # Preparations before the clock runs.
	rm -f "$DIR/nbd.pid"
	truncate -s $((2 * SIZE_MB))M "$COPY"
	ip netns exec dst "$QEMU_NBD" --format=raw --discard=unmap --bind="${ADDRESS[dst]}" --port="$PORT" --export-name=copy --persistent --shared=16 \
		--pid-file="$DIR/nbd.pid" "$COPY" </dev/null 2>"$DIR/nbd.log" &
	NBD=$!
	kill_at_exit "$NBD"
	wait_for 60 test -s "$DIR/nbd.pid" || fail "qemu-nbd: $(<"$DIR/nbd.log")"
}

rsync_begin() {
	printf 'uid = root\ngid = root\nuse chroot = no\n[images]\npath = %s\nread only = no\n' "$IMAGES/dst" >"$DIR/rsyncd.conf"
	ip netns exec dst rsync --daemon --no-detach --config="$DIR/rsyncd.conf" --address="${ADDRESS[dst]}" </dev/null >"$DIR/rsyncd.log" 2>&1 &
	kill_at_exit $!
	wait_for 60 eval '"${AT_SRC[@]}" rsync "rsync://${ADDRESS[dst]}/" >/dev/null 2>&1' || fail "rsync --daemon: $(<"$DIR/rsyncd.log")"
}

# --- storage: the disk of a running guest ------------------------------------------------------------------------------------

guest_is_running() {
	MEM=128 WITNESS="ram_mb=16 rate=0" tiny_start a -blockdev "driver=raw,node-name=disk,file.driver=file,file.filename=$SOURCE" \
		-device virtio-blk-pci,drive=disk,id=d0 $(second_monitor a)
}

storage_by_vmferry() {
	"$BIN/vmferry" storage "${GUEST_PID[a]}" --disk "d0=$COPY" --json </dev/null >"$DIR/move.json" 2>"$DIR/move.log" ||
		fail "vmferry storage: $(tail -n 3 "$DIR/move.log")"
}

storage_by_mirror() {
	truncate -s $((2 * SIZE_MB))M "$COPY"
	"$TOP/tests/lib/native.py" pivot "$DIR/a.mon" disk "$COPY" >/dev/null || fail "blockdev-mirror"
	on_stable_storage "$COPY"
}

# --- export -------------------------------------------------------------------------------------------------------------------

export_by_vmferry() { # [OPTION...]
	"$BIN/vmferry" export "$IMAGES/src/a.sh" "$IMAGES/bundle" "$@" </dev/null >"$DIR/export.out" 2>&1 || fail "vmferry export: $(<"$DIR/export.out")"
}

export_by_convert() {
	mkdir "$IMAGES/bundle"
	"$QEMU_IMG" convert -f raw -O qcow2 "$SOURCE" "$IMAGES/bundle/disk0.qcow2"
	on_stable_storage "$IMAGES/bundle/disk0.qcow2"
}

packed_by_vmferry() {
	export_by_vmferry --compress
}

packed_by_convert() {
	mkdir "$IMAGES/bundle"
	"$QEMU_IMG" convert -c -o compression_type=zstd -f raw -O qcow2 "$SOURCE" "$IMAGES/bundle/disk0.qcow2"
	on_stable_storage "$IMAGES/bundle/disk0.qcow2"
}

# --- warm -----------------------------------------------------------------------------------------------------------------------

warm_guest_is_running() {
	rm -f "$DIR/a.mon"
	MEM=128 WITNESS="ram_mb=8 rate=100 disks=vda disk_mb=8 disk_rate=20 button=1" tiny_start a $(guest_drive d1 "$DIR/small.raw" raw) \
		$(guest_drive d0 "$SOURCE" raw) $(second_monitor a)
}

warm_by_vmferry() {
	move_start a "${AGENT[dst]}" --how warm --disk "d0=$COPY" --disk "d1=$IMAGES/dst/small.raw" "${FERRY_OPTIONS[@]}"
	wait_for 120 grep -aqs 'told to shut down now' "$DIR/move.json" || fail "it is not told: $(tail -n 3 "$DIR/move.log")"
	BEGAN=$EPOCHREALTIME
	wait_for 60 grep -aqs '^witness ready' "$TO/a.console" || fail "it does not boot there: $(tail -n 3 "$DIR/move.log")"
}

warm_by_hand() {
	qmp "$DIR/a.mon" '{"execute": "system_powerdown"}' >/dev/null
	wait_for 60 process_is_gone "${GUEST_PID[a]}" || fail "it does not shut down"
	warm_guest_is_running
}

# --- all of it ----------------------------------------------------------------------------------------------------------------

before_cold_by_convert() { nbd_begin; }
after_cold_by_vmferry() { again_at_rest; }
after_cold_by_convert() { end_process "$NBD"; }
before_storage() {
	make_script # the script names the new path afterwards
	guest_is_running
}
after_cold() { assert_copied "$COPY"; }
after_storage() {
	guest_verify "$DIR/a.orders" >/dev/null
	guest_stop a
	assert_copied "$COPY"
}
after_export() {
	"$QEMU_IMG" compare -q -f raw -F qcow2 "$SOURCE" "$IMAGES/bundle/disk0.qcow2" || fail "the bundle's disk is another"
	rm -r "$IMAGES/bundle"
}
after_packed() { after_export; }

before_warm() {
	head -c 16M /dev/urandom >"$DIR/small.raw"
	warm_guest_is_running
}
after_warm_by_vmferry() { move_wait; }
after_warm() {
	guest_verify "$(orders a)" blocks
	guest_stop a
	unset "GUEST_AT[a]"
	rm -f "$COPY" "$IMAGES/dst/small.raw"
}

if_there() { # FUNCTION
	! declare -F "$1" >/dev/null || "$1"
}

once() { # KIND TOOL
	local took
	if_there "before_$1"
	if_there "before_$1_by_$2"
	sync "$IMAGES"
	BEGAN=$EPOCHREALTIME
	"$1_by_$2"
	took=$(since "$BEGAN")
	TIMES[$1 $2]+=" $took"
	if_there "after_$1_by_$2"
	if_there "after_$1"
	echo "$1 by $2: $took s; nothing is lost"
}

in_turns() { # KIND TOOL...
	local kind=$1 i tool
	shift
	[[ -z ${KINDS:-} || " $KINDS " == *" $kind "* ]] || return 0
	for ((i = 0; i < REPEAT; i++)); do
		for tool; do once "$kind" "$tool"; done
		set -- "${@:2}" "$1"
	done
	for tool; do
		# shellcheck disable=SC2086
		[[ $tool == vmferry ]] || compare "$kind" "$tool" "$(median ${TIMES[$kind vmferry]})" "$(median ${TIMES[$kind $tool]})"
	done
}

SLOWER=()
compare() { # KIND TOOL OURS THEIRS
	FIGURES+=$(printf '%-10s %10s s   %-10s %10s s   %10s' "$1" "$3" "$2" "$4" "$(ratio "$3" "$4")")$'\n'
	[[ $(calculate "$3 <= $4 * $MARGIN + ${SPARE[$1]:-0}") == 1.000 ]] || SLOWER+=("$1 takes $3 s, $2 $4 s")
}

FIGURES=
AT_SRC=(ip netns exec src)
# shellcheck disable=SC2034 # it is guest.sh's
ON=("${AT_SRC[@]}")
make_source
make_script
agent_start dst
ferry_options src dst
COPY=$IMAGES/dst/a.raw
rsync_begin
in_turns cold vmferry rsync convert
in_turns export vmferry convert
in_turns packed vmferry convert
in_turns storage vmferry mirror
in_turns warm vmferry hand # last, as the guest writes to its disk
printf '\n%-10s %12s   %-10s %12s   %10s\n%s' kind vmferry beside takes ratio "$FIGURES"
[[ ${#SLOWER[@]} -eq 0 ]] || fail "$(printf '%s\n' "${SLOWER[@]}")"
