#!/bin/bash
# An export and an import are asked by `vmferry status`, cancelled by `vmferry cancel`, tell events with --json, are in the history, and keep other
# commands from their guest meanwhile.
# timeout: 300
# takes: 20
# tier: gate
. "$(dirname "$0")/../../lib/export.sh"

last_event() { # FILE MEMBER: prints a member of the last line, which is the result
	tail -n 1 "$1" | python3 -S -c 'import json, sys; e = json.load(sys.stdin); assert e["event"] == "result"; print(e.get(sys.argv[1], ""))' "$2"
}

pair_start "$A"

# an export
export_start "$A" "$DIR/one" --bwlimit 1M --json
wait_for 60 is_copying "$A" || fail "nothing is copied: $(cat "$DIR/export.err")"
wait_for 60 vmferry_says 'copying the disks' status "$A" || fail "status does not tell the export: $(vmferry status "$A" 2>&1)"
assert_eq "$(vmferry status "$A" --json | python3 -S -c 'import json, sys; s = json.load(sys.stdin); print(s["how"], s["destination"])')" \
	"export $DIR/one" "what status says"
for command in "export $A $DIR/two" "storage $A --disk d0=$DIR/new.raw" "migrate $A local --disk-dir $VMS"; do
	status=0
	vmferry $command </dev/null >"$DIR/other.out" 2>"$DIR/other.err" || status=$?
	assert_eq $status 3 "exit code of $command while the guest is exported ($(cat "$DIR/other.err"))"
done
status=0
vmferry switch --no-wait "$A" 2>"$DIR/other.err" || status=$?
says 'not possible' "$DIR/other.err"
vmferry cancel --no-wait "$A" >"$DIR/cancel.out" || fail "an export cannot be cancelled"
export_wait 1
assert_eq "$(last_event "$DIR/export.out" outcome)" cancelled "outcome"
assert_eq "$(last_event "$DIR/export.out" leftovers)" "[]" "what is left"
[[ ! -e $DIR/one ]] || fail "left there: $(ls -A "$DIR/one")"
assert_eq "$(of_ours "$DIR/$A.mon")" "" "what is left in QEMU"
assert_eq "$(status_of "$DIR/$A.mon")" running "state"

# a stream that nobody reads any more
mkfifo "$DIR/stalled"
"$BIN/vmferry" export "$A" - --freeze off </dev/null >"$DIR/stalled" 2>"$DIR/export.err" &
EXPORT_PID=$!
kill_at_exit "$EXPORT_PID"
exec 6<"$DIR/stalled"
wait_for 60 vmferry_says sending status "$A" || fail "status does not tell that a stream is sent: $(cat "$DIR/export.err")"
vmferry cancel --no-wait "$A" >"$DIR/cancel.out" || fail "an export whose stream nobody reads cannot be cancelled"
export_wait 1
exec 6<&-
says 'nothing is left behind' "$DIR/export.err"
assert_eq "$(ls -A "$TMPDIR")" "" "what is left of the stream"

# a successful export to a stream writes nothing else to standard output
vmferry export "$A" - --freeze off </dev/null >"$DIR/bundle.tar" 2>"$DIR/export.err" || fail "$(cat "$DIR/export.err")"
says '^exported: sent' "$DIR/export.err"
status=0
vmferry export "$A" - --json </dev/null >"$DIR/export.out" 2>"$DIR/export.err" || status=$?
assert_eq $status 2 "exit code of --json with a stream"
[[ ! -s $DIR/export.out ]] || fail "a stream that is refused has $(wc -c <"$DIR/export.out") bytes"

# an import, whose stream stops in its middle
mkfifo "$DIR/slow"
vmferry import - --name "$ID-b" --disk-dir "$VMS" --json <"$DIR/slow" >"$DIR/import.out" 2>"$DIR/import.err" &
IMPORT_PID=$!
kill_at_exit "$IMPORT_PID"
exec 7>"$DIR/slow"
head -c 1M "$DIR/bundle.tar" >&7
wait_for 60 vmferry_says receiving status "$ID-b" || fail "status does not tell the import: $(cat "$DIR/import.err")"
vmferry cancel --no-wait "$ID-b" >/dev/null || fail "an import cannot be cancelled"
status=0
wait "$IMPORT_PID" || status=$?
exec 7>&-
assert_eq $status 1 "exit code of an import that was cancelled"
assert_eq "$(last_event "$DIR/import.out" outcome)" cancelled "outcome"
[[ -z $(ls -A "$VMS") ]] || fail "left there: $(ls -A "$VMS")"

# a successful import
vmferry import "$DIR/bundle.tar" --name "$ID-b" --disk-dir "$VMS" --json </dev/null >"$DIR/import.out" 2>"$DIR/import.err" || fail "$(cat "$DIR/import.err")"
assert_eq "$(last_event "$DIR/import.out" outcome)" imported "outcome"
vmferry history >"$DIR/history"
says "^$A -> $DIR/one, .*: cancelled \(export\)" "$DIR/history"
says "^$A -> a stream, .*: exported \(export\)" "$DIR/history"
says "^$ID-b -> $VMS, .*: cancelled \(import\)" "$DIR/history"
says "^$ID-b -> $VMS, .*: imported \(import\)" "$DIR/history"
vmferry report --last "$ID-b" -o "$DIR/page.html" || fail "no page of the last import"
says "Import of guest $ID-b" "$DIR/page.html"
says "was <strong>imported</strong> to $VMS" "$DIR/page.html"
[[ -z $(ls -A "$VMFERRY_RUNTIME_DIR") ]] || fail "left behind in the runtime directory: $(ls -A "$VMFERRY_RUNTIME_DIR")"
