#!/bin/bash
# The man pages and --help name the options that the programs have, no others, and the bash completion offers them; the values
# that it offers are taken. The man pages can be built where scdoc is. README and pages name commands and options that there are, and
# places that there are.
# takes: 15
# timeout: 400
# tier: gate
set -euo pipefail
TOP=$(cd "$(dirname "$0")/../../.." && pwd)
BIN=$TOP/build/${VARIANT:-release}
DIR=$(mktemp -d "${TMPDIR:-/tmp}/vmferry-documents.XXXXXX")
trap 'rm -rf "$DIR"' EXIT
export HOME=$DIR VMFERRY_STATE_DIR=$DIR/state VMFERRY_RUNTIME_DIR=$DIR/run PATH=$DIR/bin:$BIN:$PATH
failed=''

wrong() {
	echo "FAIL: $*" >&2
	failed=yes
}

run() { # COMMAND [ARGUMENT...]: of vmferry, or vmferry-dst; whatever comes of it
	if [[ $1 == vmferry-dst ]]; then
		"$BIN/vmferry-dst" "${@:2}"
	else
		"$BIN/vmferry" "$@"
	fi </dev/null 2>&1 || true
}

# Options in the first column of --help, and in the brackets of a usage of one line.
in_help() { # COMMAND
	run "$1" --help | sed -nE 's/^  (-[^ ].*)/\1/p; s/^usage: [^[]*(\[.*)/\1/p' | sed -E 's/([^,])  +.*/\1/' |
		grep -oE -- '(^|[^[:alnum:]-])--?[a-z][a-z-]*' | grep -oE -- '--?[a-z].*' || true
	[[ $1 == migrate ]] || ! run "$1" --help | grep -q '^All other options are those of vmferry migrate' || in_help migrate | of_one_if "$1"
}

# Options of migrate about several guests are not check's.
of_one_if() { # COMMAND
	if [[ $1 == check ]]; then grep -vxE -- '--(to|check-all|keep|with-off|off|allow|apart|together|prefer|keep-memory)'; else cat; fi
}

# Terms of the section of that command, and of the one that says to which commands it belongs.
in_manual() { # COMMAND
	local page=$TOP/docs/vmferry.1.scd section="## vmferry $1"
	if [[ $1 == vmferry-dst ]]; then
		page=$TOP/docs/vmferry-dst.1.scd section='# OPTIONS'
	fi
	awk -v section="$section" '/^#/ { on = $0 == section } on && /^\*-/' "$page" | terms
	[[ $1 != migrate ]] || awk '/^#/ { on = $0 == "## vmferry drain" } on && /^\*-/' "$page" | terms
	case $1 in migrate | recover | replica) awk '/^# / { on = $0 == "# REACHING THE DESTINATION" } on && /^\*-/' "$page" | terms ;; esac
	case $1 in check | plan | drain) in_manual migrate | of_one_if "$1" ;; esac
}

terms() {
	tr -d '*' | grep -oE -- '(^|[ ,])--?[a-z][a-z-]*' | tr -d ' ,' || true
}

complete_words() { # WORD...: what is offered for the last one, a line each
	COMP_WORDS=("$@")
	COMP_CWORD=$(($# - 1))
	COMPREPLY=()
	if [[ $1 == vmferry ]]; then _vmferry; else _vmferry_dst; fi
	[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
}

in_completion() { # COMMAND
	if [[ $1 == vmferry-dst ]]; then complete_words vmferry-dst --; else complete_words vmferry "$1" --; fi
}

compare() { # WHAT, and two files of words
	sort -u "$2" | grep -vx -e --help -e '' >"$DIR/left" || true
	sort -u "$3" | grep -vx -e --help -e '' >"$DIR/right" || true
	diff "$DIR/left" "$DIR/right" >"$DIR/diff" || wrong "$1: $(tr '\n' ' ' <"$DIR/diff")"
}

. "$TOP/scripts/vmferry.bash"
mapfile -t commands < <(vmferry --options)
[[ ${#commands[@]} -ge 17 ]] || wrong "vmferry --options lists no commands"

compare "commands in the manual" <(printf '%s\n' "${commands[@]}") <(sed -n 's/^## vmferry //p' "$TOP/docs/vmferry.1.scd")
compare "commands in --help" <(printf '%s\n' "${commands[@]}") <(vmferry --help | sed -nE 's/^  ([a-z-]+)  .*/\1/p')
compare "commands in completion" <(printf '%s\n' "${commands[@]}") <(complete_words vmferry '' | grep -v ^-)

for command in "${commands[@]}" vmferry-dst; do
	_vmferry_rows "$command"
	printf '%s\n' "${_vmferry_row[@]%% *}" >"$DIR/rows"
	in_help "$command" >"$DIR/help"
	in_manual "$command" >"$DIR/manual"
	compare "$command: its options (<) and those of --help (>)" "$DIR/rows" "$DIR/help"
	compare "$command: its options (<) and those of the manual (>)" "$DIR/rows" "$DIR/manual"
	compare "$command: its options (<) and those of completion (>)" <(grep '^--' "$DIR/rows") <(in_completion "$command")
	: >"$DIR/tried" # in the gate, what those have of migrate is tried with migrate: it is the same row
	case ${LONG:-}${ALL_STEPS:-}$command in check | plan | drain) (_vmferry_rows migrate && printf '%s\n' "${_vmferry_row[@]%% *}") >"$DIR/tried" ;; esac
	while read -r option; do
		[[ $option != --version ]] || continue
		case $command in switch | set | cancel | journal) continue ;; esac
		[[ $command != list ]] || set -- no-such-guest # leaves the guests of this host in peace
		[[ $command != bench ]] || set -- one host too-many # too many words end it
		said=$(run "$command" "$@" "$option")
		[[ ! $said =~ unrecognized|invalid\ option ]] || wrong "$command does not know $option"
		takes=
		[[ $said != *'requires an argument'* ]] || takes=yes
		offers=$(_vmferry_values "$option")
		[[ ${takes:+yes} == "${offers:+yes}" ]] || wrong "$command $option ${takes:+takes a value}${offers:+has none}, unlike completion says"
		for value in $offers; do
			[[ $value != @* && $value != *= ]] || continue
			[[ $(run "$command" "$@" "$option" "$value") != *"is not"* ]] || wrong "$command $option $value is offered and not taken"
		done
		[[ $command != migrate || -z $offers || $offers == @* || $(run migrate "$option" nonsense) == *"'nonsense' is not"* ]] ||
			wrong "$option takes anything"
		set --
	done < <(sort -u "$DIR/rows" | grep -vxF -e --once -e --plaintext -f "$DIR/tried")
	[[ $command == vmferry-dst ]] || run "$command" --help | grep -q '^usage: vmferry' || wrong "vmferry $command has no --help"
done

# Examples of the pages.
pages=("$TOP/README.md" "$TOP"/docs/*.md "$TOP/proto/PROTOCOL.md")
"$TOP/tests/lib/pages.py" "${pages[@]}" >"$DIR/examples" || wrong "a page links to what is not there"
[[ $(wc -l <"$DIR/examples") -ge 40 ]] || wrong "the pages have hardly any example"
declare -A help=()
while read -r command options; do
	[[ " ${commands[*]} " == *" $command "* ]] || wrong "a page names vmferry $command"
	[[ -n ${help[$command]:-} ]] || help[$command]=$(
		in_help "$command"
		case $command in plan | drain) in_help migrate ;; esac
	)
	for option in $options; do
		[[ $'\n'${help[$command]}$'\n' == *$'\n'"$option"$'\n'* ]] || wrong "a page names vmferry $command $option"
	done
done < <(sort -u "$DIR/examples")
[[ $(wc -l <"$TOP/README.md") -le 150 ]] || wrong "README.md is longer than 150 lines"
[[ $(LC_ALL=C.UTF-8 wc -L <"$TOP/README.md") -le 100 ]] || wrong "README.md has lines of more than 100 columns"
[[ $(vmferry --help | grep -c '^[A-Z].*:$') -ge 5 ]] || wrong "vmferry --help is one list, without headings"

[[ $(complete_words vmferry migrate --dedup '' | tr '\n' ' ') == 'on off ' ]] || wrong "values of --dedup"
[[ $(complete_words vmferry-dst recover --peer) == --peer-is-fenced ]] || wrong "options of vmferry-dst recover"
[[ $(complete_words vmferry migrate --codec = z) == zstd ]] || wrong "--codec=z"

# Guests: where a guest is due, and a name is never expanded.
mkdir "$DIR/bin"
export BIN
cat >"$DIR/bin/vmferry" <<-'STUB'
	#!/bin/sh
	[ "$1" = --options ] && exec "$BIN/vmferry" "$@"
	[ "$1 $2" = 'list --json' ] && echo '{"guests":[{"name":"vm1","disks":[{"path":"/srv/a.raw"}],"nics":[{"netdev":"lan","mac":"52:54:00:00:00:01"},{"mac":"52:54:00:00:00:02"}],"reasons":[]}]}' && exit
	[ "$1" = list ] && printf '%s\n' 'vm1 (pid 11): 1 GiB' '  disk  /a' 'vm2 (pid 12): 1 GiB' '$(touch expanded) (pid 13): 1 GiB'
	[ "$1" = journal ] && printf '%s\n' '{"path":"/s/01-src.journal","guest":"vm3","attempt":"01","to":"root@host-b","pid":14}' '{"path":"/s/02-dst.journal"}'
	[ "$1" = status ] && echo 'vm1 (pid 11) -> root@host-b: copy, round 1'
STUB
chmod 755 "$DIR/bin/vmferry"
cd "$DIR"
[[ $(complete_words vmferry migrate vm | tr '\n' ' ') == 'vm1 vm2 ' ]] || wrong "guests of migrate"
[[ $(complete_words vmferry migrate --codec lz4 vm | tr '\n' ' ') == 'vm1 vm2 ' ]] || wrong "guests behind an option"
[[ $(complete_words vmferry migrate vm1 --disk '' | tr '\n' ' ') == 'a.raw= ' ]] || wrong "disks of a guest"
[[ $(complete_words vmferry migrate vm1 --map-net '' | tr '\n' ' ') == 'lan= 52:54:00:00:00:02= ' ]] || wrong "network cards of a guest"
[[ $(complete_words vmferry switch '') == vm1 ]] || wrong "guests of switch"
[[ $(complete_words vmferry recover '') == vm3 ]] || wrong "guests of recover"
[[ $(complete_words vmferry migrate vm1 lo) == local ]] || wrong "destinations"
[[ $(complete_words vmferry migrate --codec = lz4 vm1 lo) == local ]] || wrong "destinations behind --codec=lz4"
[[ $(complete_words vmferry set vm1 b) == bwlimit= ]] || wrong "what is set"
[[ $(complete_words vmferry migrate --reuse auto vm | tr '\n' ' ') == 'vm1 vm2 ' ]] || wrong "guests behind --reuse"
: >bench1.json
[[ $(complete_words vmferry report bench0.json ben) == bench1.json ]] || wrong "more files of report"
complete_words vmferry migrate '$' >/dev/null
[[ ! -e expanded ]] || wrong "a guest's name was expanded"

if ! command -v scdoc >/dev/null; then
	echo "skipped: no scdoc: run scripts/install-deps"
else
	for page in vmferry vmferry-dst; do
		scdoc <"$TOP/docs/$page.1.scd" >"$DIR/$page.1" || wrong "$page.1.scd"
		! command -v mandoc >/dev/null || mandoc -T lint -W error "$DIR/$page.1" || wrong "$page.1"
	done
fi
[[ -z $failed ]]
