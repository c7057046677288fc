#!/bin/bash
# The old images of a guest keep their names where the script beside them is what has started it. Where somebody starts it by a command of his own, the
# script is changed, as ever, and the old images get other names, so that nothing starts the guest from them. So they do where a second script, or
# another hard link of the first, starts the guest from them, also while it is shut down,
# or where a process elsewhere would.
. "$(dirname "$0")/../../lib/storage.sh"

storage_guest
storage "${GUEST_PID[a]}" "${BOTH[@]}"
assert_result 'plan["old"] == "keep" and not any("was not started by" in n for n in notices)'
assert_on "$NEW_IMAGES"

kill_now "${GUEST_PID[a]}"
rm -r "$DIR/src" "$DIR/new"
make_guest_files "$DIR/src"
mkdir "$DIR/new"
sed 's/^exec .*qemu-system-x86_64/& -boot menu=off/' "$DIR/src/a.sh" >"$DIR/mine"
chmod +x "$DIR/mine"
guest_from_script "$DIR/mine"
storage "${GUEST_PID[a]}" "${BOTH[@]}"
assert_result 'plan["old"] == "aside" and any("was not started by" in n and "get other names" in n for n in notices)'
assert_on "$NEW_IMAGES"
[[ ! -e $DIR/src/a.raw && -e $(echo "$DIR"/src/a.raw.moved-*) ]] || fail "the old image has its name: $(ls "$DIR/src")"

# Something elsewhere watches the guest: where it runs the script, that has the new images; where it names the old ones, they get other names.
watched_by() { # COMMAND that it would run once the guest has ended
	kill_now "${GUEST_PID[a]}"
	rm -r "$DIR/src" "$DIR/new"
	make_guest_files "$DIR/src"
	mkdir "$DIR/new"
	guest_from_script
	echo "tail -f --pid=${GUEST_PID[a]} /dev/null; echo $1" >"$DIR/watch"
	sh "$DIR/watch" </dev/null >"$DIR/watch.log" 2>&1 &
	WATCH=$!
	kill_at_exit $WATCH
	storage "${GUEST_PID[a]}" "${BOTH[@]}"
	end_process $WATCH
}
watched_by "$DIR/src/a.sh"
assert_result 'plan["old"] == "keep" and not notices'
watched_by "qemu-system-x86_64 -m 128 -drive file=$DIR/src/a.raw"
assert_result "plan['old'] == 'aside' and any('process $WATCH (sh $DIR/watch), too' in n and 'vmferry renames' in n for n in notices)"
assert_on "$NEW_IMAGES"

# While it is shut down: a copy of its script, somebody's own that only names a disk, a hard link wherever it lies.
kill_now "${GUEST_PID[a]}"
second_script() { # COMMAND that makes it from $DIR/src/a.sh
	rm -r "$DIR/src" "$DIR/new"
	make_guest_files "$DIR/src"
	mkdir "$DIR/new"
	(cd "$DIR/src" && eval "$1")
}
REST=(--disk "a.raw=$DIR/new/a.raw")
assert_aside() { # SCRIPT, as the notice names it
	assert_result "plan['old'] == 'aside' and any('$1' in n and 'vmferry renames those images' in n for n in notices)"
	[[ ! -e $DIR/src/a.raw && -e $(echo "$DIR"/src/a.raw.moved-*) ]] || fail "the old image has its name: $(ls "$DIR/src")"
	assert_eq "$(images_in_script)" "$DIR/new/a.raw $DIR/src/b.qcow2" "images that the script names"
}
second_script 'cp -p a.sh a-2.sh'
storage "$DIR/src/a.sh" "${REST[@]}"
assert_aside "$DIR/src/a-2.sh"
second_script 'printf "#!/bin/bash\nX=%s\nqemu-system-x86_64 -drive file=\$X/a.raw\n" "$PWD" >mine.sh'
storage "$DIR/src/a.sh" "${REST[@]}"
assert_aside "$DIR/src/mine.sh"
second_script 'rm -f "$DIR/elsewhere"; ln a.sh "$DIR/elsewhere"'
storage "$DIR/src/a.sh" "${REST[@]}"
assert_aside "another name (a hard link) of $DIR/src/a.sh"
second_script 'cp -p a.sh a-2.sh'
storage "$DIR/src/a.sh" "${REST[@]}" --old keep
assert_result "plan['old'] == 'keep' and any('$DIR/src/a-2.sh' in n and 'make sure that it is not run' in n for n in notices)"
second_script 'rm -f "$DIR/elsewhere"'
storage "$DIR/src/a.sh" "${REST[@]}"
assert_result "plan['old'] == 'keep' and not notices"

# An image that another one beside it needs is not removed, however that names it.
base="json:{\"driver\": \"raw\", \"file\": {\"driver\": \"file\", \"filename\": \"$DIR/src/a.raw\"}}"
with_data='"$QEMU_IMG" create -q -f qcow2 -o data_file=b.raw other.qcow2 1M; "$QEMU_IMG" amend -f qcow2 -o data_file=a.raw other.qcow2; rm b.raw'
for needed in '"$QEMU_IMG" create -q -f qcow2 -b a.raw -F raw other.qcow2' '"$QEMU_IMG" create -q -f qcow2 -b "$base" -F raw other.qcow2' "$with_data"; do
	second_script "$needed"
	storage_start "$DIR/src/a.sh" "${REST[@]}" --old remove
	storage_wait 3
	assert_result "'$DIR/src/other.qcow2' in r['reason'] and 'would be of no use without it' in r['reason']"
	rm "$DIR/src/other.qcow2"
done
storage "$DIR/src/a.sh" "${REST[@]}" --old remove
[[ ! -e $DIR/src/a.raw ]] || fail "the old image is still there"
