#!/bin/bash
# `make install` puts what it says where it says: a man page for each command, and completion for bash, zsh and fish; `make uninstall` removes all of it.
# timeout: 120
. "$(dirname "$0")/../../lib/base.sh"
test_begins

TO=$DIR/to
make -C "$TOP" --no-print-directory VARIANT="${VARIANT:-release}" man install PREFIX="$TO" >"$DIR/install.log" 2>&1 || fail "$(tail "$DIR/install.log")"
export PATH=$TO/bin:$PATH VMFERRY_STATE_DIR=$DIR/state VMFERRY_RUNTIME_DIR=$DIR/run

while read -r command; do
	grep -q "^\.SH DESCRIPTION" "$TO/share/man/man1/vmferry-$command.1" || fail "vmferry $command has no man page"
	[[ $(wc -l <"$TO/share/man/man1/vmferry-$command.1") -ge 20 ]] || fail "the man page of vmferry $command says nothing"
done < <(vmferry --help | sed -nE 's/^  ([a-z-]+)  .*/\1/p')

in_bash() { bash -c '. "$0"; _vmferry_ask "$@"' "$TO/share/bash-completion/completions/vmferry" "$@"; }
in_fish() { fish -c "set fish_complete_path $TO/share/fish/vendor_completions.d \$fish_complete_path; complete -C '$*'"; }
in_zsh() { # prints the terminal until the line is completed
	zsh -f -c '
		zmodload zsh/zpty
		zpty z zsh -f -i
		zpty -w z "fpath=($1 \$fpath); autoload -U compinit; compinit -u -D; print REA""DY"
		zpty -r -m z line "*READY*"
		zpty -n -w z "$2"$'"'\\t'"'
		zpty -r -m z line "*$3*"
		print -r -- "$line"' zsh "$TO/share/zsh/site-functions" "$1" "$2"
}
assert_eq "$(in_bash vmferry exp)" export "what bash offers"
assert_eq "$(in_fish vmferry exp)" export "what fish offers"
timeout 60 zsh -c true && timeout 60 bash -c "$(declare -f in_zsh); TO=$TO; in_zsh 'vmferry exp' 'vmferry export'" >"$DIR/zsh" || fail "zsh completes no command: $(cat -v "$DIR/zsh")"
assert_eq "$(in_bash vmferry replica add web1 host-b --ev)" --every "what bash offers for a subcommand"
assert_eq "$(in_bash vmferry replica list --ev)" "" "what bash offers for a subcommand without that option"
assert_eq "$(in_bash vmferry migrate web1 host-b --codec l)" lz4 "what bash offers"
assert_eq "$(in_fish vmferry migrate web1 host-b --codec l)" lz4 "what fish offers"
timeout 60 bash -c "$(declare -f in_zsh); TO=$TO; in_zsh 'vmferry migrate web1 host-b --codec l' lz4" >"$DIR/zsh" || fail "zsh completes no value: $(cat -v "$DIR/zsh")"
assert_eq "$(in_fish vmferry-dst --li)" --listen "what fish offers for vmferry-dst"

make -C "$TOP" --no-print-directory VARIANT="${VARIANT:-release}" uninstall PREFIX="$TO" >"$DIR/install.log" 2>&1 || fail "$(tail "$DIR/install.log")"
assert_eq "$(find "$TO" ! -type d)" "" "what is left"
