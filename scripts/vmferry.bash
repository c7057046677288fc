# bash completion for vmferry and vmferry-dst. It needs nothing but bash, and asks the programs themselves what there is to say; host names
# come from bash-completion's helper where that is loaded.
# shellcheck shell=bash

_vmferry_say() { timeout 2 "$@" 2>/dev/null </dev/null; }

# A line an option, of a command in an array: its name, and the words that it may have, or @file, @dir, @host, @disk, @nic, @guest, @any; no more: it has no value.
_vmferry_rows() { # COMMAND: of vmferry; vmferry-dst and "vmferry-dst recover" are commands, too
	local command=(vmferry --options "$1")
	[[ $1 != replica || ${COMP_CWORD-0} -lt 3 || ${COMP_WORDS[2]} != [a-z]* ]] || command+=("${COMP_WORDS[2]}")
	[[ $1 != vmferry-dst* ]] || read -ra command <<<"$1 --options"
	mapfile -t _vmferry_row < <(_vmferry_say "${command[@]}")
}

_vmferry_values() { # OPTION, out of _vmferry_row: what it may have
	local row
	for row in "${_vmferry_row[@]}"; do
		[[ $row != "$1 "* ]] || echo "${row#* }"
	done
}

_vmferry_guests() { # COMMAND: those that it could be about
	case $1 in
	list | check | migrate | export | storage | replica) _vmferry_say vmferry list -v ;;
	recover) _vmferry_say vmferry journal --json | sed -nE 's/.*"guest":"([^"\\]*)".*/\1 <- /p' ;;
	history) _vmferry_say vmferry history | sed -nE 's/^(.*) -> .*/\1 <- /p' | sort -u ;;
	*) _vmferry_say vmferry status ;;
	esac | sed -nE 's/^([^ ].*) (\((pid [0-9]+|shut down)\)|<- ).*/\1/p'
}

# Adds the lines on standard input that begin so. They are other people's words: compgen -W would expand them.
_vmferry_offer() { # CURRENT WORD
	local line
	while IFS= read -r line; do
		[[ $line != "$1"* ]] || COMPREPLY+=("$(printf %q "$line")")
	done
}

_vmferry_hosts() { # CURRENT WORD
	if declare -F _known_hosts_real >/dev/null; then
		_known_hosts_real -a -- "$1"
	fi
	mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W local -- "$1")
}

# The description of the guest that the line names, as JSON.
_vmferry_guest() {
	local word guest=''
	for word in "${COMP_WORDS[@]:2}"; do
		[[ $word == -* || $word == '=' ]] || { guest=$word; break; }
	done
	[[ -z $guest ]] || _vmferry_say vmferry list --json "$guest"
}

# File names of its disks, each with "=", as `--disk DISK=PATH` has them.
_vmferry_disks() {
	_vmferry_guest | grep -oE '"path": ?"[^"]*"' | sed 's|.*[/"]\([^/"]*\)"$|\1=|'
}

# Its network cards by their ids, as `--map-net NIC=WHAT` has them; by the address of one that has no id.
_vmferry_nics() {
	_vmferry_guest | sed 's/.*"nics"//; s/\].*//' | grep -oE '\{[^}]*\}' |
		sed -nE 's/.*"netdev": ?"([^"]*)".*/\1=/p; t; s/.*"device": ?"([^"]*)".*/\1=/p; t; s/.*"mac": ?"([^"]*)".*/\1=/p'
}

_vmferry_complete_value() { # OPTION'S VALUES, CURRENT WORD
	case $1 in
	@file | @dir)
		compopt -o filenames 2>/dev/null # fails where nobody completes, as in a test
		mapfile -t COMPREPLY < <(compgen "$([[ $1 == @file ]] && echo -f || echo -d)" -- "$2")
		;;
	@host) _vmferry_hosts "$2" ;;
	@any) ;;
	@guest) _vmferry_offer "$2" < <(_vmferry_guests list) ;;
	@disk)
		compopt -o nospace 2>/dev/null
		_vmferry_offer "$2" < <(_vmferry_disks)
		;;
	@nic)
		compopt -o nospace 2>/dev/null
		_vmferry_offer "$2" < <(_vmferry_nics)
		;;
	*) mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2") ;;
	esac
}

# How many words before the current one are no options and no values of options.
_vmferry_count_words() { # FIRST WORD TO LOOK AT
	local i n=0 previous='' option='' word
	for ((i = $1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == '=' ]]; then
			previous=$option
		elif [[ $word == -* ]]; then
			previous=$word option=$word
		elif [[ -n $(_vmferry_values "$previous") ]]; then
			previous=''
		else
			previous='' n=$((n + 1))
		fi
	done
	echo "$n"
}

_vmferry_complete() { # COMMAND, THE WORD BEHIND IT
	local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} values n _vmferry_row=()
	_vmferry_rows "$1"
	# "--codec=l" is three words
	if [[ $cur == '=' ]]; then
		cur=''
	elif [[ $option == '=' ]]; then
		option=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	values=$(_vmferry_values "$option")
	if [[ -n $values ]]; then
		_vmferry_complete_value "$values" "$cur"
		return
	fi
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(printf '%s\n' "${_vmferry_row[@]%% *}" | grep ^--)" -- "$cur")
		return
	fi
	n=$(_vmferry_count_words "$2")
	case $1:$n in
	check:1 | migrate:1) _vmferry_hosts "$cur" ;;
	replica:2) [[ ${COMP_WORDS[2]} != add && ${COMP_WORDS[2]} != reverse ]] || _vmferry_hosts "$cur" ;;
	help:0) mapfile -t COMPREPLY < <(compgen -W "$(_vmferry_say vmferry --options)" -- "$cur") ;;
	replica:0 | help:1) mapfile -t COMPREPLY < <(compgen -W "$(_vmferry_say vmferry replica --help | sed -nE 's/^  ([a-z]+)  .*/\1/p')" -- "$cur") ;;
	jobs:0) mapfile -t COMPREPLY < <(compgen -W "$(_vmferry_say vmferry jobs --all | sed -nE 's/^([0-9a-f]{8}) .*/\1/p')" -- "$cur") ;;
	vmferry-dst:0) mapfile -t COMPREPLY < <(compgen -W recover -- "$cur") ;;
	bench:0) ! declare -F _known_hosts_real >/dev/null || _known_hosts_real -a -- "$cur" ;;
	set:1)
		compopt -o nospace 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -W bwlimit= -- "$cur")
		;;
	export:1) _vmferry_complete_value @dir "$cur" ;;
	journal:0 | may-start:0 | report:* | import:*) _vmferry_complete_value @file "$cur" ;;
	list:* | check:0 | migrate:0 | export:0 | storage:0 | status:0 | switch:0 | set:0 | cancel:0 | revert:0 | keep:0 | recover:0 | history:0 | replica:1)
		_vmferry_offer "$cur" < <(_vmferry_guests "$1")
		;;
	esac
}

_vmferry() {
	COMPREPLY=()
	if [[ $COMP_CWORD -eq 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_vmferry_say vmferry --options) --help --version" -- "${COMP_WORDS[1]}")
	else
		_vmferry_complete "${COMP_WORDS[1]}" 2
	fi
}

_vmferry_dst() {
	COMPREPLY=()
	if [[ $COMP_CWORD -gt 1 && ${COMP_WORDS[1]} == recover ]]; then
		_vmferry_complete 'vmferry-dst recover' 2
	else
		_vmferry_complete vmferry-dst 1
	fi
}

# For other shells: prints what is offered, a line each. The words are those of the line, up to the one that is completed.
_vmferry_ask() { # WORD...
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	[[ ${1##*/} == vmferry-dst ]] && _vmferry_dst || _vmferry
	((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
}

complete -F _vmferry vmferry
complete -F _vmferry_dst vmferry-dst
