# bash completion for wsgi-httpd

_wsgi_httpd() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local options="--host --port --server-name --processes --threads --python --python-path
        --working-directory --callable --mount --option --static --https-port --certificate --key
        --https-only --http2 --reload --user --group --log-directory --log-level --no-access-log
        --max-clients --limit-request-body --include --mpm --root --httpd --modules --module --help"
    if [ "$COMP_CWORD" = 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W "serve setup module --help --version" -- "$current")
        return
    fi
    [ "${COMP_WORDS[1]}" != module ] || options="--httpd --modules --module --help"
    case $previous in
        --mpm) mapfile -t COMPREPLY < <(compgen -W "event worker prefork" -- "$current") ;;
        --user) mapfile -t COMPREPLY < <(compgen -u -- "$current") ;;
        --group) mapfile -t COMPREPLY < <(compgen -g -- "$current") ;;
        --log-level)
            mapfile -t COMPREPLY < <(compgen -W "error warn notice info debug" -- "$current") ;;
        *)
            case $current in
                -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current") ;;
                *) mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
            esac ;;
    esac
}
complete -o filenames -F _wsgi_httpd wsgi-httpd
