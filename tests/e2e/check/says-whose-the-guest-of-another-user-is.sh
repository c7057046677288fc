#!/bin/bash
# Root does not move a guest whose QEMU runs as another user: list and check say so, and nothing is touched.
. "$(dirname "$0")/../../lib/aftermath.sh"

[[ $EUID -eq 0 ]] || skip "only root can start QEMU as another user"
command -v setpriv >/dev/null || skip "there is no setpriv"
chmod 711 "$DIR"
printf '#!/bin/sh\nexec setpriv --reuid=65534 --regid=65534 --clear-groups "%s" "$@"\n' "$QEMU" >"$DIR/qemu"
chmod 755 "$DIR/qemu"
setpriv --reuid=65534 --regid=65534 --clear-groups "$QEMU" --version >/dev/null 2>&1 ||
	skip "another user cannot reach this QEMU"
mkdir -m 777 "$DIR/sockets"
QEMU=$DIR/qemu
"$QEMU" -name b -machine none -display none -nodefaults -qmp unix:"$DIR/sockets/b.qmp",server=on,wait=off \
	</dev/null >"$DIR/b.log" 2>&1 &
pid=$!
kill_at_exit "$pid"
wait_for 60 test -S "$DIR/sockets/b.qmp" || fail "QEMU does not start: $(<"$DIR/b.log")"
vmferry list "$pid" >"$DIR/list"
grep -q "cannot be moved: its QEMU runs as another user (.*uid 65534): run vmferry as that user" "$DIR/list" ||
	fail "list says: $(<"$DIR/list")"
for command in check migrate; do
	status=0
	vmferry "$command" "$pid" local --disk-dir "$DIR" >"$DIR/out" 2>&1 || status=$?
	assert_eq "$status" 3 "exit code of $command"
	grep -q "another user" "$DIR/out" || fail "$command says: $(<"$DIR/out")"
done
[[ -z $(find "$DIR/run" -type s) ]] || fail "something was left"
