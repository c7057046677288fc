#!/bin/bash
# A user who is not root imports a guest, from an image and from an appliance, and it starts: nothing that only root may open is needed.
# tier: gate
. "$(dirname "$0")/../../lib/import.sh"

AS=()
if [[ $EUID -eq 0 ]]; then
	let_others_come
	chmod 711 "$DIR"
	mkdir -m 755 "$DIR/bin"
	install -m 755 "$BIN/vmferry" "$DIR/bin"
	install -d -m 700 -o 65534 -g 65534 "$DIR/theirs"
	AS=(setpriv --reuid=65534 --regid=65534 --clear-groups env "HOME=$DIR/theirs" "XDG_RUNTIME_DIR=$DIR/theirs")
	BIN=$DIR/bin
	VM=$DIR/theirs/vm
fi
theirs() { # COMMAND...
	"${AS[@]}" env VMFERRY_STATE_DIR="$DIR/theirs/state" VMFERRY_RUNTIME_DIR="$DIR/theirs/run" "$@"
}

theirs mkdir -p "$VM" "$DIR/theirs"
bootable_disk "$DIR/disk.raw"
to_ova "$ID-ova" "$DIR/disk.raw"
chmod 644 "$DIR/disk.raw" "$DIR/$ID-ova.ova"
for from in disk.raw "$ID-ova.ova"; do
	name=$ID-${from%%.*}
	theirs "$BIN/vmferry" import --disk-dir "$VM" --accel tcg --memory 128M --name "$name" --start "$DIR/$from" -- \
		-serial "file:$DIR/theirs/$name.serial" </dev/null >"$DIR/import.out" 2>"$DIR/import.err" || fail "import of $from: $(<"$DIR/import.err")"
	pid=$(sed -nE 's/^imported: .*\(pid ([0-9]+)\).*/\1/p' "$DIR/import.out")
	kill_at_exit "$pid"
	[[ $EUID -ne 0 ]] || assert_eq "$(stat -c %u "/proc/$pid")" 65534 "whose QEMU it is"
	wait_for 60 says "$DIR/theirs/$name.serial" "disk $SUM" || fail "$name has another disk: $(<"$DIR/import.err")"
	end_process "$pid"
done
