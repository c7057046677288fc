#!/bin/bash
# `vmferry report`: where its page goes, that an XML parser takes it, what it says about files that it cannot use, and its exit
# codes. tests/unit/test-html-report.c looks at what is in the page.
# tier: gate
. "$(dirname "$0")/../../lib/base.sh"
test_begins
sample=$TOP/tests/data/bench/sample.json
move=$TOP/tests/data/bench/move.json

report() { # EXIT_CODE ARGUMENT...: output in out and err
	local status=0
	(cd "$DIR" && "$BIN/vmferry" report "${@:2}") >"$DIR/out" 2>"$DIR/err" || status=$?
	assert_eq "$status" "$1" "exit code of: report ${*:2}: $(<"$DIR/err")"
}

says() { # WORDS: one line of error says so, and nothing is on standard output
	[[ ! -s $DIR/out && $(wc -l <"$DIR/err") -eq 1 ]] || fail "not one line of error: $(cat "$DIR/out" "$DIR/err")"
	grep -qF -- "$1" "$DIR/err" || fail "it does not say '$1': $(<"$DIR/err")"
}

is_page() { # FILE
	python3 -S - "$1" <<-'END' || fail "$1 is no page"
		import sys, xml.etree.ElementTree as tree
		root = tree.parse(sys.argv[1]).getroot()
		name = "{http://www.w3.org/1999/xhtml}"
		assert root.tag == name + "html" and root.find(f"{name}body/{name}header/{name}h1").text
		ids = {e.get("id") for e in root.iter()}
		for e in root.iter():
		    assert not e.tag.endswith("script") and "src" not in e.attrib, e.tag
		    assert e.get("href", "#").startswith("#") and (e.get("href") is None or e.get("href")[1:] in ids), e.attrib
	END
}

# Places of the page: beside the file, elsewhere, standard output, from standard input.
cp "$sample" "$DIR/run.json"
cp "$move" "$DIR/a.b.ndjson"
report 0 run.json
is_page "$DIR/run.html"
[[ ! -s $DIR/out && $(<"$DIR/err") == run.html ]] || fail "it does not say where the page is: $(cat "$DIR/out" "$DIR/err")"
[[ $(stat -c %a "$DIR/run.html") == "$(printf %o $((0666 & ~$(umask))))" ]] || fail "mode $(stat -c %a "$DIR/run.html")"
report 0 a.b.ndjson
is_page "$DIR/a.b.html"
grep -q 'was moved to root@host-b' "$DIR/a.b.html" || fail "a move's page does not say where to"
report 0 --output=elsewhere.html run.json
is_page "$DIR/elsewhere.html"
report 0 run.json -o -
[[ ! -s $DIR/err ]] || fail "$(<"$DIR/err")"
is_page "$DIR/out"
report 0 --only-medians run.json -o brief.html
is_page "$DIR/brief.html"
(($(stat -c %s "$DIR/brief.html") < $(stat -c %s "$DIR/run.html"))) || fail "it has as many timelines with --only-medians"
report 0 - <"$move"
is_page "$DIR/out"
cat "$sample" | report 0 -
is_page "$DIR/out"
grep -q 'multifd' "$DIR/out" || fail "the page of a run from standard input has no tools"
cp "$DIR/run.json" "$DIR/plain"
report 0 plain
is_page "$DIR/plain.html"
cmp -s "$DIR/run.json" "$sample" || fail "the input was changed"

# A page that is there is replaced as a whole, or not at all.
echo old >"$DIR/run.html"
report 0 run.json
is_page "$DIR/run.html"
cp "$DIR/run.html" "$DIR/before.html"
head -c 20000 "$sample" >"$DIR/run.json"
report 1 run.json
says "run.json: line "
says "cut off"
cmp -s "$DIR/run.html" "$DIR/before.html" || fail "a file that is cut off left its mark on the page"

# Files that report cannot use.
report 1 missing.json
says "cannot open missing.json: No such file or directory"
report 1 .
says "Is a directory"
echo '{"a": 1}' >"$DIR/other.json"
report 1 other.json
says "vmferry bench"
echo 'not JSON' >"$DIR/other.json"
report 1 other.json
says "line 1"
echo '{"schema": 7, "moves": []}' >"$DIR/other.json"
report 1 other.json
says "schema 7"
: >"$DIR/other.json"
report 1 other.json
says "it is empty"
truncate -s 300M "$DIR/other.json"
report 1 other.json
says "larger than 256 MiB"
cp "$sample" "$DIR/run.json"
report 1 run.json -o run.json
says "another place for the page"
report 1 run.json -o nowhere/page.html
says "nowhere/page.html"
report 1 run.json -o /dev/full
says "No space left on device"
cp "$sample" "$DIR/page.html"
report 1 page.html
says "another place for the page"
[[ -z $(find "$DIR" -name '*.html.??????') ]] || fail "something is left behind: $(ls "$DIR")"

# Several runs of bench make one page, and nothing else does.
cp "$sample" "$DIR/more.json"
report 0 run.json more.json -o both.html
is_page "$DIR/both.html"
report 1 run.json "$move" -o both.html
says 'move.json: several files make one page only if each is of a run of `vmferry bench`'
sed 's/"cpu": *"/&Another /' "$sample" >"$DIR/more.json"
report 1 run.json more.json -o both.html
says 'more.json: its cpu is not that of the others'
for member in disks disk_mib disk_data_mib max_downtime_ms tcp_congestion; do
	python3 -S - "$sample" "$member" "$DIR" <<-'END'
		import json, sys
		a, b = json.load(open(sys.argv[1])), json.load(open(sys.argv[1]))
		for r, value in (a, 123), (b, 456):
		    r["environment" if sys.argv[2] == "tcp_congestion" else "plan"][sys.argv[2]] = value
		json.dump(a, open(sys.argv[3] + "/run.json", "w"))
		json.dump(b, open(sys.argv[3] + "/more.json", "w"))
	END
	report 1 run.json more.json -o both.html
	says "more.json: its $member is not that of the others"
done
report 0 run.json run.json -o both.html

# A run is vmferry-bench's, which may not be there.
ln "$BIN/vmferry" "$DIR/vmferry" 2>/dev/null || cp "$BIN/vmferry" "$DIR/vmferry"
status=0
PATH=/usr/bin:/bin "$DIR/vmferry" report "$sample" -o "$DIR/none.html" >"$DIR/out" 2>"$DIR/err" || status=$?
assert_eq "$status" 1 "exit code without vmferry-bench"
says "cannot run $DIR/vmferry-bench"
[[ ! -e $DIR/none.html ]] || fail "there is a page"
"$DIR/vmferry" report "$move" -o "$DIR/none.html" 2>/dev/null || fail "a move's page needs vmferry-bench"
! PATH=/usr/bin:/bin "$DIR/vmferry" bench --help >"$DIR/out" 2>"$DIR/err" || fail "it measures"
says "cannot run $DIR/vmferry-bench"

# Usage.
report 2
report 2 --frobnicate run.json
report 0 --help
grep -q '^usage: vmferry report' "$DIR/out" || fail "no help"
