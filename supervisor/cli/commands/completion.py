"""``pysup completion bash|zsh|fish``: the script that a shell reads, and what it asks for at each TAB.

The scripts know nothing: they give the words typed so far back to this command, which answers from the commands'
own tables (complete.py). So a new flag is completed without anybody's doing.

    source <(pysup completion bash)                 # or in ~/.bashrc
    source <(pysup completion zsh)                  # after compinit
    pysup completion fish | source
"""

from __future__ import annotations

from collections.abc import Sequence

from pysup.supervisor.cli.flags import Syntax, UsageError

COMPLETION = Syntax(
    "completion",
    "bash|zsh|fish [WORD...]",
    "Print the completion script of a shell (or what may follow the words, the last of them unfinished)",
    (),
    1,
    None,
    interspersed=False,
)

FILES = ":files"
"""What is printed where a file is to be named: the shell knows its files better."""

BASH = r"""# pysup completion for bash
_pysup() {
    local IFS=$'\n'
    COMPREPLY=($("${COMP_WORDS[0]}" completion bash "${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    if [[ ${COMPREPLY[0]-} == :files ]]; then
        COMPREPLY=()
        compopt -o default
    elif [[ ${COMPREPLY[0]-} == *= ]]; then
        compopt -o nospace
    fi
}
complete -F _pysup pysup
"""

ZSH = r"""#compdef pysup
# pysup completion for zsh
_pysup() {
    local line
    local -a lines shown
    lines=("${(@f)$("$words[1]" completion zsh "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ $lines[1] == :files ]]; then
        _files
        return
    fi
    for line in $lines; do
        shown+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    _describe pysup shown
}
compdef _pysup pysup
"""

FISH = r"""# pysup completion for fish
function __pysup_complete
    set -l typed (commandline -opc)
    set -l program $typed[1]
    set -e typed[1]
    set -l lines ($program completion fish $typed "$(commandline -ct)" 2>/dev/null)
    if test "$lines[1]" = :files
        __fish_complete_path (commandline -ct)
    else
        printf '%s\n' $lines
    end
end
complete -c pysup -f -a '(__pysup_complete)'
"""

SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(argv: Sequence[str]) -> int:
    """``pysup completion``."""
    shell, *words = COMPLETION.parse(argv).words
    if shell not in SCRIPTS:
        raise UsageError(f"cannot complete: unknown shell {shell!r} (there are bash, zsh and fish)", 1)
    if words:
        _answer(shell, words)
    else:
        print(SCRIPTS[shell], end="")
    return 0


def _answer(shell: str, words: Sequence[str]) -> None:
    from pysup.supervisor.cli.complete import candidates

    typed = list(words) if shell != "bash" else split(words[0])[1:]
    found = candidates(typed)
    if found is None:
        print(FILES)
        return
    for value, about in found:
        print(_after_break(value, typed[-1]) if shell == "bash" else f"{value}\t{about}")


def split(line: str) -> list[str]:
    """The words of an unfinished command line, the last of them perhaps empty, or with a quote still open."""
    words, word, quote, escaped, begun = [], "", "", False, False
    for sign in line:
        if escaped:
            word, escaped = word + sign, False
        elif sign == "\\" and quote != "'":
            escaped = begun = True
        elif quote:
            word, quote = (word, "") if sign == quote else (word + sign, quote)
        elif sign in "'\"":
            quote, begun = sign, True
        elif not sign.isspace():
            word, begun = word + sign, True
        elif begun:
            words.append(word)
            word, begun = "", False
    return [*words, word]


def _after_break(value: str, typed: str) -> str:
    """Bash replaces only what follows the last ``=`` or ``:`` of a word (COMP_WORDBREAKS)."""
    at = max(typed.rfind("="), typed.rfind(":")) + 1
    return value[at:]
