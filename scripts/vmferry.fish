# fish completion for vmferry and vmferry-dst: what scripts/vmferry.bash offers, asked of bash.
function __vmferry_complete
    bash -c 'source /usr/local/share/bash-completion/completions/vmferry; _vmferry_ask "$@"' bash (commandline -opc) (commandline -ct) 2>/dev/null
end
complete -c vmferry -f -a '(__vmferry_complete)'
complete -c vmferry-dst -f -a '(__vmferry_complete)'
