#!/bin/bash
# A disk that vmferry copies is the same there, bit for bit; printed: how long its bulk copy takes beside nbdcopy and blockdev-mirror.
# timeout: 600
#
# 1 GiB of noise, a raw image of a running guest that is idle, goes from one host of the lab to the other, and is on stable storage
# there at the end: the medians of REPEAT (3) repetitions, in each of which every tool copies once, the first one in turn. QEMU
# and qemu-nbd use the images without the page cache, which is the fastest here. What is timed:
#
#   nbdcopy   its whole run, with --flush: out of a qemu-nbd on the image (unix socket) into a qemu-nbd there (TCP); both run already
#   mirror    blockdev-mirror of the guest's QEMU into the same qemu-nbd, until BLOCK_JOB_READY, before which QEMU flushes it
#   vmferry   a move with --codec none, by its log: from when stage copy begins (then it makes a dirty bitmap and an export), until
#             the destination's word that the bulk round is durable arrives. The guest's memory, which has begun to travel by then,
#             and all that comes before stage copy are not in it
. "$(dirname "$0")/../lib/lab.sh"
enter_lab unshaped "$0" "$@"
. "$(dirname "$0")/../lib/move.sh"

REPEAT=${REPEAT:-3}
SIZE=${SIZE:-1G}
COPY_S=${COPY_S:-120}
PORT=10809
NBDCOPY=(nbdcopy --flush --connections=4 --requests=64 --request-size=1048576)
TOOLS=(nbdcopy mirror vmferry)
declare -A TIMES=()

command -v nbdcopy >/dev/null || skip "no nbdcopy: install libnbd-bin (scripts/install-deps --check)"
QEMU_NBD=${QEMU_NBD:-$TOP/build/qemu/bin/qemu-nbd}
QEMU_IO=${QEMU_IO:-$TOP/build/qemu/bin/qemu-io}

# --- images --------------------------------------------------------------------------------

# build/tmp, as TMPDIR may be memory
mkdir -p "$TOP/build/tmp"
IMAGES=$(mktemp -d "$TOP/build/tmp/images.XXXXXX")
at_exit "[[ -n \${KEEP:-} ]] || rm -rf '$IMAGES'"
SOURCE=$IMAGES/source.raw

reads_by() { # io_uring|native
	"$QEMU_IO" -r -f raw -t none -i "$1" -c 'read 0 4k' "$SOURCE" >/dev/null 2>&1
}

make_source() { # sets AIO
	head -c "$SIZE" /dev/urandom >"$SOURCE"
	sync "$SOURCE"
	AIO=io_uring
	reads_by "$AIO" || AIO=native
	reads_by "$AIO" || skip "images in $IMAGES cannot be used without the page cache"
}

assert_copied() { # IMAGE: which is removed
	cmp "$SOURCE" "$1" || fail "the copy is not the same"
	rm "$1"
}

# --- NBD servers ---------------------------------------------------------------------------

serve() { # src|dst OPTION...: sets SERVER
	local pid_file=$DIR/nbd-$1.pid
	rm -f "$pid_file"
	ip netns exec "$1" "$QEMU_NBD" --persistent --shared=16 --pid-file="$pid_file" "${@:2}" </dev/null 2>"$DIR/nbd-$1.log" &
	SERVER=$!
	kill_at_exit "$SERVER"
	wait_for 60 test -s "$pid_file" || fail "qemu-nbd: $(<"$DIR/nbd-$1.log")"
}

serve_source() { # the guest has locked it
	serve src --read-only --socket="$DIR/nbd.sock" --image-opts \
		"driver=raw,file.driver=file,file.filename=$SOURCE,file.locking=off,file.cache.direct=on,file.aio=$AIO"
}

serve_target() {
	truncate -s "$SIZE" "$IMAGES/copy.raw"
	serve dst --format=raw --cache=none --aio="$AIO" --discard=unmap --bind="${ADDRESS[dst]}" --port="$PORT" \
		--export-name=copy "$IMAGES/copy.raw"
}

# --- the tools: each copies once and prints the seconds in TOOK --------------------------------

copy_by_nbdcopy() {
	local source target began
	serve_source
	source=$SERVER
	serve_target
	target=$SERVER
	began=$EPOCHREALTIME
	timeout "$COPY_S" ip netns exec src "${NBDCOPY[@]}" "nbd+unix:///?socket=$DIR/nbd.sock" "nbd://${ADDRESS[dst]}:$PORT/copy" ||
		fail "nbdcopy: status $?"
	TOOK=$(since "$began")
	end_process "$source"
	end_process "$target"
	assert_copied "$IMAGES/copy.raw"
}

copy_by_mirror() {
	local target
	serve_target
	target=$SERVER
	TOOK=$("$TOP/tests/lib/native.py" mirror "$(monitor g)" disk "${ADDRESS[dst]}" "$PORT" copy) || fail "blockdev-mirror"
	end_process "$target"
	assert_copied "$IMAGES/copy.raw"
}

logged_at() { # TEXT: prints the time of that line, in seconds
	sed -n "s/^\([0-9.]*\) src: $1.*/\1/p" "$DIR/move.log" | head -n 1
}

copy_by_vmferry() {
	ferry_options src dst
	move g "${AGENT[dst]}" --codec none --disk "source.raw=$IMAGES/moved.raw" "${FERRY_OPTIONS[@]}"
	TOOK=$(calculate "$(logged_at 'disk 1 round 0: durable') - $(logged_at 'stage prepare -> copy')")
	guest_verify "$(orders g)" >/dev/null
	guest_stop g
	assert_copied "$IMAGES/moved.raw"
}

# --- all of it -----------------------------------------------------------------------------

guest_is_running() {
	[[ -z ${GUEST_PID[g]:-} ]] || return 0
	unset "GUEST_AT[g]"
	MEM=256 WITNESS="ram_mb=16 rate=0" guest_start g -blockdev \
		"driver=raw,node-name=disk,file.driver=file,file.filename=$SOURCE,file.aio=$AIO,file.cache.direct=on,cache.direct=on" \
		-device virtio-blk-pci,drive=disk
	disown "${GUEST_PID[g]}" # no shell message tells of its end
}

make_source
agent_start dst
# shellcheck disable=SC2034 # it is guest.sh's
ON=(ip netns exec src)
for ((i = 0; i < REPEAT; i++)); do
	for tool in "${TOOLS[@]}"; do
		guest_is_running
		sync "$IMAGES"
		"copy_by_$tool"
		TIMES[$tool]+=" $TOOK"
		echo "$tool: $TOOK s; the same, bit for bit"
	done
	TOOLS=("${TOOLS[@]:1}" "${TOOLS[0]}")
done

# shellcheck disable=SC2086
ferry=$(median ${TIMES[vmferry]})
printf '\n%-30s %10s %18s\n' "disk of $SIZE" 'median, s' 'vmferry over it'
for tool in vmferry nbdcopy mirror; do
	# shellcheck disable=SC2086
	took=$(median ${TIMES[$tool]})
	printf '%-30s %10s %18s\n' "$tool" "$took" "$(ratio "$ferry" "$took")"
done
