#compdef vmferry vmferry-dst
# zsh completion for vmferry and vmferry-dst: what scripts/vmferry.bash offers, asked of bash.
local -a offers
offers=("${(@f)$(bash -c 'source /usr/local/share/bash-completion/completions/vmferry; _vmferry_ask "$@"' bash "${(@)words[1,CURRENT]}" 2>/dev/null)}")
compadd -Q -S '' -- ${(M)offers:#*[=@]}
compadd -Q -- ${offers:#*[=@]}
