#!/bin/bash
# tests/faults/import.sh WHEN image|bundle[-disk|-script] WHAT: while an image, or a bundle, becomes a guest, from that call on (create, write-1, sync, rename)
# all goes wrong with its disk or its script: io (EIO), full (ENOSPC), short, read-only (EROFS); or the importer is killed there (made-N, named-N). There is a
# whole guest, or none; what is left is said, or removed by recover; the next import succeeds.
. "$(dirname "$0")/cell.sh"
. "$(dirname "$0")/../lib/export.sh"
WHEN=$1 OF=${2%-*} WHICH=${2#*-} WHAT=$3

[[ -x $BIN/shared/vmferry ]] || fail "there is no $BIN/shared: make tests"
{ head -c 512 /dev/zero; head -c 8388096 /dev/urandom; } >"$DIR/a.raw" # random bytes, which look like no known format
FROM=$DIR/a.raw DISK=$A.qcow2
if [[ $OF == bundle ]]; then
	FROM=$DIR/bundle DISK=$A-1.raw
	head -c 1M /dev/urandom >"$DIR/b.raw"
	"$BIN/vmferry" export "$FROM" -- "$QEMU" -accel tcg -machine q35 -m 64 -name "$A" -display none -nodefaults \
		-drive file="$DIR/a.raw,format=raw,if=virtio" -drive file="$DIR/b.raw,format=raw,if=virtio" \
		-qmp "unix:$DIR/$A.qmp,server=on,wait=off" >"$DIR/export.out" 2>"$DIR/export.err" || fail "$(<"$DIR/export.err")"
fi

import_it() { # sets CODE
	local options=(--disk-dir "$VMS")
	[[ $OF == bundle ]] || options+=(--name "$A" --no-start)
	CODE=0 SAID_BY=import
	timeout 60 "$@" "$PROGRAM" import "$FROM" "${options[@]}" </dev/null >"$DIR/import.out" 2>>"$DIR/import.err" || CODE=$?
}

PROGRAM=$BIN/vmferry
if [[ $WHAT == kill ]]; then
	VMFERRY_FAULT=$WHEN:kill:$DIR/fault import_it
	[[ -s $DIR/fault ]] || absent "it makes no file more"
	[[ $CODE -ge 128 ]] || fail "it is killed, and says $CODE"
else
	declare -A NUMBER=([io]=5 [full]=28 [short]=0 [read-only]=30)
	declare -A PART=([disk]=$DISK [script]=$A.sh)
	call=${WHEN%-*} nth=${WHEN#*-}
	[[ $nth =~ ^[0-9]+$ ]] || nth=1
	: >"$DIR/errors-on"
	PROGRAM=$BIN/shared/vmferry
	import_it env "LD_PRELOAD=$BIN/shared/error.so" "ERRORS=$call $nth ${NUMBER[$WHAT]} ${PART[$WHICH]}" "ERRORS_SEEN=$DIR/errors-seen" \
		"ERRORS_WHILE=$DIR/errors-on"
	[[ -s $DIR/errors-seen || $CODE == 0 ]] || fail "another error: $(tail -n 1 "$DIR/import.err")"
	[[ -s $DIR/errors-seen ]] || absent "no $WHEN of that file"
	[[ $CODE != 0 ]] || fail "it says that all is well"
	rm "$DIR/errors-on"
	tail -n 1 "$DIR/import.err" | grep -qE 'nothing (is left behind|was touched)' || [[ $CODE == 4 ]] || fail "it does not say what is left: $(tail -n 1 "$DIR/import.err")"
	for file in $(ls -A "$VMS"); do
		grep -qF "left behind: $VMS/$file" "$DIR/import.err" || fail "left, and it does not say so: $file"
		note "it names $file as left"
		rm "$VMS/$file"
	done
fi
first=$CODE

if [[ $WHAT == kill ]]; then
	"$BIN/vmferry" recover >"$DIR/recover.log" 2>&1 || fail "recover: $(tail -n 1 "$DIR/recover.log")"
	note "recover says: $(tail -n 1 "$DIR/recover.log")"
	[[ -e $VMS/$A.sh || -z $(ls -A "$VMS") ]] || fail "left after recover: $(ls -A "$VMS")"
fi
PROGRAM=$BIN/vmferry
if [[ -e $VMS/$A.sh ]]; then
	note "it was whole already"
	CODE=0
	rm -f "$VMS"/.*.vmferry-*
else
	import_it
fi
assert_eq "$CODE" 0 "exit code of the next import ($(tail -n 1 "$DIR/import.err"))"
[[ -z $(find "$VMS" -name '.*') ]] || fail "left: $(ls -A "$VMS")"
"$QEMU_IMG" convert -O raw "$VMS/$DISK" "$DIR/back.raw"
cmp "$DIR/a.raw" "$DIR/back.raw" || fail "the disk is another"
[[ -x $VMS/$A.sh ]] || fail "there is no script"
[[ -z $(ls -A "$VMFERRY_RUNTIME_DIR") ]] || fail "left in the runtime directory: $(ls -A "$VMFERRY_RUNTIME_DIR")"
CODE=$first
evidence "in the end there is a whole guest"
