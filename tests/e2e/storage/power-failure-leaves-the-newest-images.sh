#!/bin/bash
# Agent, guard and QEMU end at once, at every step of a switch to new disks: what the script then names is there and whole, and as new as what
# it does not name. It starts the guest at once, or after `vmferry recover`, which then removes what is not used, and nothing else. The old
# images are not lost where it is not known what starts the guest: they have another name, or their own again.
# timeout: 300
. "$(dirname "$0")/../../lib/storage.sh"

FLAGS=()
IMAGES=("--disk" "d0-dev=$DIR/new/a.qcow2" "--disk" "d1-dev=$DIR/new/b.raw" --format qcow2)

fails_at() { # POINT
	fault "src-$1" stop
	storage_start "${GUEST_PID[a]}" "${IMAGES[@]}" "${FLAGS[@]}"
	fault_wait
	kill_now "$(guard_pid)"
	kill_now "$FAULT_PID"
	kill_now "${GUEST_PID[a]}"
}

ends_with() { # IMAGES
	recover 8
	assert_on "$1" gone
	if [[ $1 == "$OLD_IMAGES" ]]; then assert_kept gone; fi
}

again() {
	rm -rf "$DIR/src" "$DIR/new"
	storage_guest
}

storage_guest
for point in made copying pending script-named committed finalized-0 finalized-1; do
	echo "--- $point"
	case $point in made | copying | pending) on=$OLD_IMAGES ;; *) on=$NEW_IMAGES ;; esac
	fails_at $point
	assert_eq "$(images_in_script)" "$on" "images that the script names"
	case $point in
	pending | script-named | committed) # requests wait: both are the same, but for what of a qcow2 image the guest has not flushed
		assert_same_content "$DIR/src/a.raw" raw "$DIR/new/a.qcow2" qcow2
		assert_sound "$DIR/new/b.raw"
		;;
	esac
	case $point in
	pending | committed) # somebody starts it before
		guest_from_script
		recover 8
		guest_verify "$DIR/a.orders" blocks
		assert_eq "$(images_in_use)" "$on" "images in use"
		assert_on "$on"
		kill_now "${GUEST_PID[a]}"
		;;
	*) ends_with "$on" ;;
	esac
	again
done

echo "--- nothing is known to start it"
mkdir "$DIR/elsewhere"
mv "$DIR/src/a.sh" "$DIR/elsewhere/a.sh"
unknown() { # POINT
	fails_at "$1"
	recover 8
	assert_nothing_unfinished
}
unknown pending
assert_eq "$(cd "$DIR/src" && ls | xargs)" "a.raw b.qcow2" "old images that have their names again"
assert_eq "$(ls -A "$DIR/new")" "" "new images"
guest_from_script "$DIR/elsewhere/a.sh"
fails_at committed
guest_from_script "$DIR/elsewhere/a.sh" # from its old disks, as nothing could keep it from that
recover 6
said recover.log 'has its old image .* open, so it was started again from that'
kill_now "${GUEST_PID[a]}"
recover 8
assert_nothing_unfinished
[[ $(cd "$DIR/src" && ls | xargs) =~ ^a.raw.moved-[0-9a-f]{8}\ b.qcow2.moved-[0-9a-f]{8}$ ]] || fail "old images: $(ls "$DIR/src")"
assert_eq "$(cd "$DIR/new" && ls | xargs)" "a.qcow2 b.raw" "new images"
said recover.log 'NOT KNOWN'
! "$DIR/elsewhere/a.sh" </dev/null 2>/dev/null || fail "the guest is started from its old disks"
