# SPDX-License-Identifier: MIT
# Completion of the command firn for bash.

# What may follow the option $1; fails where it takes nothing.
_firn_argument()
{
    case $1 in
    -d | --delimiter) words='newline nul paragraph length32' ;;
    -D | --durability) words='each group os' ;;
    -z | --compression) words='none lz4 zstd' ;;
    -F | --format) words='raw json' ;;
    -e | --expect-next | --first-index | -f | --from | -t | --to | -n | --count | --last) words='' ;;
    --since | -u | --until | -b | --before | -o | --older-than) words='' ;;
    -k | --keep | -p | --piece | -s | --span | -S | --block-shift | --block-count) words='' ;;
    -B | --keep-bytes | -N | --keep-records | -c | --cursor) words='' ;;
    --chunk-bytes | --chunks | --key-separator | --record-bytes | --segment-bytes | --size) words='' ;;
    *) return 1 ;;
    esac
}

# Letters that take an argument with some subcommands, and none with $1.
_firn_is_flag()
{
    case "$1 $2" in
    'cat -n' | 'tail -n' | 'pipe -n' | 'stream -n') return 1 ;;
    *' -n' | 'pipe -c' | 'pipe -p' | 'stack -c' | 'stream -b' | 'stream -F') return 0 ;;
    *) return 1 ;;
    esac
}

_firn_options()
{
    case $1 in
    append)
        words='--delimiter --key-separator --durability --ack --compression --stream-from
            --no-create --first-index
            --expect-next --segment-bytes --record-bytes --size --quiet --help'
        ;;
    cat) words='--from --to --count --since --until --reverse --format --delimiter --key-separator --help' ;;
    tail) words='--count --follow --cursor --format --delimiter --key-separator --help' ;;
    info) words='--json --help' ;;
    verify | truncate | copy | import) words='--quiet --help' ;;
    export) words='--from --quiet --help' ;;
    compact) words='--keep-deleted --memory --quiet --help' ;;
    repair) words='--dry-run --quiet --help' ;;
    cursor) words='--json --help' ;;
    pipe) words='--chunk-bytes --create --chunks --grow --pad --atomic --all --json --quiet --help' ;;
    stack) words='--create --from --json --quiet --help' ;;
    slab) words='--live --json --quiet --help' ;;
    stream)
        words='--lines --piece --ack --span --block-shift --block-count --make-dir --no-create
            --break-lock --from --to --last --before --keep --files --json --quiet --help'
        ;;
    trim) words='--before --older-than --keep-bytes --keep-records --keep-unread --dry-run --quiet --help' ;;
    *) words='' ;;
    esac
}

_firn()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local subcommand=${COMP_WORDS[1]} words='' subcommands='append cat tail info verify truncate trim compact repair cursor copy import export pipe stack slab stream help'
    COMPREPLY=()
    # readline takes '=' as a word of its own: --format = json
    if [[ $current == '=' ]]; then
        current=''
    elif [[ $previous == '=' ]]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if ((COMP_CWORD == 1)); then
        words="$subcommands --help --version"
    elif [[ $subcommand == help ]]; then
        ((COMP_CWORD == 2)) && words=$subcommands
    elif [[ $subcommand == pipe && $COMP_CWORD == 2 && $current != -* ]]; then
        words='info read write verify'
    elif [[ $subcommand == stack && $COMP_CWORD == 2 && $current != -* ]]; then
        words='push pop peek info verify'
    elif [[ $subcommand == slab && $COMP_CWORD == 2 && $current != -* ]]; then
        words='info check'
    elif [[ $subcommand == stream && $COMP_CWORD == 2 && $current != -* ]]; then
        words='append cat info verify trim'
    elif [[ $subcommand == stream && $COMP_CWORD -gt 3 && -d $previous && $current != -* ]]; then
        words=$(cd -- "$previous" 2> /dev/null && compgen -G '*.[0-9a-f][0-9a-f][0-9a-f][0-9a-f]-*' |
            sed 's/\.[^.]*$//' | sort -u)
    elif _firn_is_flag "$subcommand" "$previous" || ! _firn_argument "$previous"; then
        if [[ $current != -* ]]; then
            local kind=-d
            [[ $subcommand == pipe || $subcommand == stack || $subcommand == slab ]] && kind=-f
            mapfile -t COMPREPLY < <(compgen $kind -- "$current")
            compopt -o filenames 2> /dev/null
            return
        fi
        _firn_options "$subcommand"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -F _firn firn
