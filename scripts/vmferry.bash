# bash completion for vmferry and vmferry-dst. It needs nothing but bash; host names come from bash-completion's helper
# where that is loaded. tests/e2e/project/documents-name-every-option.sh compares what it offers with --help.
# shellcheck shell=bash

_vmferry_reach='--identity --port --ssh --ssh-accept-new --via --data-ports --listen-address --keep-agent --psk-file
	--token-file --plaintext'
_vmferry_migrate="--how --start --shutdown-timeout --force --disk-dir --disk --in-place --qemu --chain --drop --media --map-net --max-downtime --reconnect-timeout --keep-partial --only-disks --hold --at --on-stall --revert-within --bwlimit --channels
	--codec --dedup --recheck --reuse --ram-mode --multifd --install-unit --unit --starter-stopped --dry-run --script --detach --json --state-dir --runtime-dir
	--verbose $_vmferry_reach"

_vmferry_options() { # COMMAND: its options
	case $1 in
	list) echo --json --verbose ;;
	check | migrate) echo "$_vmferry_migrate" ;;
	status) echo --follow --json ;;
	report) echo --output --only-medians --last ;;
	history) echo --json --state-dir ;;
	export) echo --compress --bwlimit --freeze --no-media --spool --with-memory --json ;;
	storage) echo --disk --format --start-script --old --drop --bwlimit --dry-run --json --state-dir --runtime-dir --verbose ;;
	import)
		echo --name --disk-dir --format --memory --cpus --firmware --bus --net --raw --no-disk --clone --trust-line --no-memory --accel --qemu --start --paused --no-start --json --dry-run
		;;
	bench)
		echo --lab --links --delay --loss --mem --workloads --tools --repeat --max-downtime --disks --disk --disk-data --content --cached --seed --output --resume \
			--timeout --dir --qemu --accel --guest --collector --identity --port --ssh --ssh-accept-new --via \
			--data-ports --listen-address --keep-agent
		;;
	recover) echo "--resume --peer-is-fenced --dest --json --verbose $_vmferry_reach" ;;
	vmferry-dst)
		echo --listen --psk-file --data-ports --once --psk-stdin --plaintext --token-stdin --state-dir --runtime-dir \
			--verbose --version
		;;
	esac
	echo --help
}

_vmferry_values() { # OPTION: the words that it may have, or @file, @dir, @host, @any; nothing: it has no value
	case $1 in
	--how) echo live quick warm cold ;;
	--chain) echo copy top flatten ;;
	--drop) echo snapshots bitmaps data-file ;;
	--media) echo auto copy path eject ;;
	--on-stall) echo wait throttle stop cancel ;;
	--codec) echo auto none lz4 zstd ;;
	--ram-mode) echo auto pages opaque ;;
	--unit) echo disable keep ;;
	--old) echo keep aside remove ;;
	--ssh) echo libssh2 openssh ;;
	--accel) echo kvm tcg ;;
	--format) echo qcow2 raw ;;
	--firmware) echo bios uefi ;;
	--bus) echo ide sata virtio nvme lsilogic lsisas pvscsi virtio-scsi megasas usb ;;
	--net) echo user none bridge= ;;
	--freeze) echo auto require off ;;
	--content) echo living noise zeros ;;
	--dedup) echo on off ;;
	--recheck) echo auto on off ;;
	--links) echo unshaped 100mbit 1gbit 10gbit ;;
	--workloads) echo idle writer hot disk cache churn compressible incompressible database ;;
	--tools) echo single multifd multifd+zstd xbzrle virsh vmferry ;;
	--reuse) echo auto ;; # or a file there
	--disk-dir | --state-dir | --runtime-dir | --dir | --guest | --spool) echo @dir ;;
	--start-script | --psk-file | --token-file | --identity | -i | --output | -o | --qemu | --raw) echo @file ;;
	--resume) [[ ${COMP_WORDS[1]} == recover ]] || echo @file ;; # of bench
	--dest) echo @host ;;
	--disk) [[ ${COMP_WORDS[1]} == bench ]] && echo @any || echo @disk ;;
	--at | --name | --memory | --cpus | --mem | --delay | --loss | --disks | --cached | --repeat | --disk-data | --seed | --timeout | --map-net | --max-downtime | --shutdown-timeout | --reconnect-timeout | --keep-partial | --revert-within | --bwlimit | --channels | --multifd | --port | -p | --via | --data-ports | \
		--listen-address | --listen | --collector) echo @any ;;
	esac
}

_vmferry_guests() { # COMMAND: those that it could be about
	case $1 in
	list | check | migrate | export | storage) timeout 2 vmferry list -v ;;
	recover | history) timeout 2 vmferry journal ;;
	*) timeout 2 vmferry status ;;
	esac 2>/dev/null </dev/null | sed -nE 's/^([^ ].*) \((pid [0-9]+|shut down)\).*/\1/p'
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

# File names of the disks of the guest that the line names, each with "=", as `--disk DISK=PATH` has them.
_vmferry_disks() {
	local word guest=''
	for word in "${COMP_WORDS[@]:2}"; do
		[[ $word == -* || $word == '=' ]] || { guest=$word; break; }
	done
	[[ -z $guest ]] || timeout 2 vmferry list --json "$guest" 2>/dev/null </dev/null |
		grep -oE '"path": ?"[^"]*"' | sed 's|.*[/"]\([^/"]*\)"$|\1=|'
}

_vmferry_complete_value() { # OPTION'S VALUES, CURRENT WORD
	case $1 in
	@file | @dir)
		compopt -o filenames 2>/dev/null # fails where nobody completes, as in a test
		mapfile -t COMPREPLY < <(compgen "$([[ $1 == @file ]] && echo -f || echo -d)" -- "$2")
		;;
	@host) _vmferry_hosts "$2" ;;
	@any) ;;
	@disk)
		compopt -o nospace 2>/dev/null
		_vmferry_offer "$2" < <(_vmferry_disks)
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
	local cur=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]} values n
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
		mapfile -t COMPREPLY < <(compgen -W "$(_vmferry_options "$1")" -- "$cur")
		return
	fi
	n=$(_vmferry_count_words "$2")
	case $1:$n in
	check:1 | migrate:1) _vmferry_hosts "$cur" ;;
	bench:0) ! declare -F _known_hosts_real >/dev/null || _known_hosts_real -a -- "$cur" ;;
	set:1)
		compopt -o nospace 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -W bwlimit= -- "$cur")
		;;
	export:1) _vmferry_complete_value @dir "$cur" ;;
	journal:0 | report:* | import:*) _vmferry_complete_value @file "$cur" ;;
	list:* | check:0 | migrate:0 | export:0 | storage:0 | status:0 | switch:0 | set:0 | cancel:0 | revert:0 | keep:0 | recover:0)
		_vmferry_offer "$cur" < <(_vmferry_guests "$1")
		;;
	esac
}

_vmferry() {
	local cur=${COMP_WORDS[COMP_CWORD]}
	COMPREPLY=()
	if [[ $COMP_CWORD -eq 1 ]]; then
		mapfile -t COMPREPLY < <(compgen -W 'list check migrate status switch set cancel revert keep recover journal history report export storage import bench --help --version' -- "$cur")
	else
		_vmferry_complete "${COMP_WORDS[1]}" 2
	fi
}

_vmferry_dst() {
	COMPREPLY=()
	_vmferry_complete vmferry-dst 1
}

# For other shells: prints what is offered, a line each. The words are those of the line, up to the one that is completed.
_vmferry_ask() { # WORD...
	COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
	[[ ${1##*/} == vmferry-dst ]] && _vmferry_dst || _vmferry
	((${#COMPREPLY[@]} == 0)) || printf '%s\n' "${COMPREPLY[@]}"
}

complete -F _vmferry vmferry
complete -F _vmferry_dst vmferry-dst
