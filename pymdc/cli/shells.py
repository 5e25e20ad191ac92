"""The completion scripts for Bash and zsh. Those of click do not work for addresses."""

from __future__ import annotations

import os
from typing import Any

from click.shell_completion import BashComplete, CompletionItem, ZshComplete, add_completion_class, split_arg_string

__all__ = ["Bash", "Zsh"]

_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' response completion type value
    response=$(env COMP_LINE="$COMP_LINE" COMP_POINT=$COMP_POINT COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        if [[ $type == 'dir' ]]; then
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            COMPREPLY+=("$value")
            if [[ $value == */ ]]; then compopt -o nospace; fi
        fi
    done
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ADD = "compadd -U -V unsorted -a completions"
_ADD_WITHOUT_SPACE_AFTER_A_FOLDER = """\
local -a folders=("${(@M)completions:#*/}") words=("${(@)completions:#*/}")
        (( $#folders )) && compadd -U -S '' -V unsorted -a folders
        (( $#words )) && compadd -U -V unsorted -a words"""


class Bash(BashComplete):
    """Bash ends a word at ":", so click's script would see `storj://photos` as three words."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        line = os.environ["COMP_LINE"].encode()[: int(os.environ["COMP_POINT"])].decode(errors="replace")
        words = split_arg_string(line)
        if not line or line[-1].isspace():
            words.append("")
        return words[1:-1], words[-1]

    def format_completion(self, item: CompletionItem[Any]) -> str:
        return f"{item.type},{item.value[self._replaced_from(item.value) :]}"

    def _replaced_from(self, value: str) -> int:
        """Return where the text that Bash replaces begins: after the last ":", but not within quotes."""
        word = os.environ["COMP_LINE"].rsplit(maxsplit=1)[-1]
        if ":" not in os.environ.get("COMP_WORDBREAKS", ":") or ":" not in word or word[0] in "'\"":
            return 0
        return value.rfind(":") + 1


class Zsh(ZshComplete):
    """Like click's, but no space follows a "/", since the address goes on."""

    source_template = ZshComplete.source_template.replace(_ADD, _ADD_WITHOUT_SPACE_AFTER_A_FOLDER)


add_completion_class(Bash)
add_completion_class(Zsh)
