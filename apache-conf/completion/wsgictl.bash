# bash completion for wsgictl

_wsgictl() {
    local current=${COMP_WORDS[COMP_CWORD]} options="--socket --help"
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(
            compgen -W "status top stacks explain reload scale drain resume --help --version" \
                -- "$current")
        return
    fi
    if [ "${COMP_WORDS[COMP_CWORD - 1]}" = --socket ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
    fi
    case ${COMP_WORDS[1]} in
        status) options+=" --json" ;;
        top) options+=" --interval --count" ;;
        explain) options+=" --address --json" ;;
        stacks) options+=" --all" ;;
        scale) options+=" --no-wait --timeout --json configured" ;;
        *) options+=" --all --no-wait --timeout --json" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
}
complete -F _wsgictl wsgictl
