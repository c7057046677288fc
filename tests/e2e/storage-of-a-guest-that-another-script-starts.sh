#!/bin/bash
# The old images of a guest keep their names where the script beside them is what has started it. Where somebody starts it by a command of his own, the
# script is changed, as ever, and the old images get other names, so that nothing starts the guest from them.
. "$(dirname "$0")/../lib/storage.sh"

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
