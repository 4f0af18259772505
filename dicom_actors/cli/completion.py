"""Completion for shells: scripts that ask this command what may come next.

A script calls ``dicom-actors --complete WORD...`` with the words up to the cursor, the last of
which is the one to complete. The answer is a line for each candidate, with what it means behind a
tab; or the line ``:files`` or ``:folders`` where the shell knows best. All of it follows from the
parser, so that a script never becomes outdated.
"""

# ruff: noqa: SLF001 - argparse has no public way to ask a parser for its arguments

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["candidates", "print_candidates", "print_script"]

_FILES: Final = ":files"
_FOLDERS: Final = ":folders"
_SEVERAL: Final = ("+", "*")

_SCRIPTS: Final = {
    "bash": r"""_dicom_actors() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        # Files are what readline completes when there is nothing else.
        [[ $line == :* ]] || COMPREPLY+=("${line%%$'\t'*}")
    done < <("${COMP_WORDS[0]}" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=.] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o default -F _dicom_actors dicom-actors
""",
    "zsh": r"""#compdef dicom-actors
_dicom_actors() {
    local line word
    local -a lines whole begun
    lines=("${(@f)$("${words[1]}" --complete "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    case "${lines[1]}" in
        :files) _files; return ;;
        :folders) _files -/; return ;;
    esac
    for line in "${lines[@]}"; do
        word="${line%%$'\t'*}"
        [[ -n $word ]] || continue
        if [[ $word == $line ]]; then line=""; else line=":${line#*$'\t'}"; fi
        line="${word//:/\\:}$line"
        if [[ $word == *[=.] ]]; then begun+=("$line"); else whole+=("$line"); fi
    done
    (( $#whole )) && _describe -t words 'dicom-actors' whole
    (( $#begun )) && _describe -t keys 'key' begun -S ''
}
# Sourced, or loaded by zsh as a file of its fpath.
if [[ ${funcstack[1]} == _dicom_actors ]]; then
    _dicom_actors "$@"
else
    compdef _dicom_actors dicom-actors
fi
""",
    "fish": r"""function __dicom_actors_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] --complete $words[2..-1] 2>/dev/null)
    switch "$lines[1]"
        case :files
            __fish_complete_path (commandline -ct)
        case :folders
            __fish_complete_directories (commandline -ct)
        case '*'
            printf '%s\n' $lines
    end
end
complete -c dicom-actors -f -a '(__dicom_actors_complete)'
""",
}


class _Place(NamedTuple):
    """Where the cursor is.

    Attributes:
        parser: the parser whose arguments come next.
        option: the option whose value comes next; None: there is none.
        seen: how many arguments that are no options stand before.
        config: the configuration file that was named; None: none was.
    """

    parser: argparse.ArgumentParser
    option: argparse.Action | None
    seen: int
    config: str | None


def print_script(shell: str) -> int:
    """Print the script for ``bash``, ``zsh`` or ``fish``."""
    print(_SCRIPTS[shell], end="")
    return 0


def print_candidates(parser: argparse.ArgumentParser, words: list[str]) -> None:
    """Print what the last of the words may become."""
    for word, meaning in candidates(parser, words):
        print(f"{word}\t{meaning}" if meaning else word)


def candidates(parser: argparse.ArgumentParser, words: list[str]) -> Iterator[tuple[str, str]]:
    """Give what the last word may become, and what each means.

    Args:
        parser: that of the command line.
        words: those of a command line behind the command's name, up to the cursor.
    """
    *before, begun = _whole(words) or [""]
    if "=" in begun:
        return  # a value to match is nothing that can be known
    place = _find(parser, before)
    found: Iterable[tuple[str, str]] = ()
    if place.option is None and begun.startswith("-"):
        found = _options(place.parser)
    elif (action := place.option or _positional(place)) is not None:
        found = _values(action, begun, place.config)
    for word, meaning in found:
        if word.startswith((begun, ":")):
            yield word, meaning


def _whole(words: Iterable[str]) -> list[str]:
    """Put words together again that a shell took apart at ``=``."""
    whole: list[str] = []
    for word in words:
        if whole and (word == "=" or whole[-1].endswith("=")):
            whole[-1] += word
        else:
            whole.append(word)
    return whole


def _find(parser: argparse.ArgumentParser, words: Iterable[str]) -> _Place:
    place = _Place(parser, None, 0, None)
    for word in words:
        option = place.option
        if word.startswith("-"):
            action = place.parser._option_string_actions.get(word)
            takes_value = action is not None and action.nargs != 0
            place = place._replace(option=action if takes_value else None)
        elif option is not None:
            config = word if option.dest == "config" else place.config
            takes_more = option.nargs in _SEVERAL
            place = place._replace(option=option if takes_more else None, config=config)
        else:
            action = _positional(place)
            if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                place = _Place(action.choices[word], None, 0, None)
            else:
                place = place._replace(seen=place.seen + 1)
    return place


def _positional(place: _Place) -> argparse.Action | None:
    """The argument that comes next; the last one takes all that is left, if it takes several."""
    actions = place.parser._get_positional_actions()
    if place.seen < len(actions):
        return actions[place.seen]
    return actions[-1] if actions and actions[-1].nargs in _SEVERAL else None


def _options(parser: argparse.ArgumentParser) -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        for name in action.option_strings:
            if name.startswith("--"):
                yield name, (action.help or "").partition(";")[0]


def _values(action: argparse.Action, begun: str, config: str | None) -> Iterable[tuple[str, str]]:
    """What the value of an argument may be: its choices, or what its metavar says."""
    if isinstance(action, argparse._SubParsersAction):
        return [(choice.dest, choice.help or "") for choice in action._choices_actions]
    if action.choices is not None:
        return [(str(choice), "") for choice in action.choices]
    match action.metavar:
        case "FILE" | "PATH":
            return [(_FILES, "")]
        case "DIR":
            return [(_FOLDERS, "")]
        case "PEER":
            return _peers(config)
        case "KEY" | "KEY=VALUE":
            return _keys(begun, ending="=" if action.metavar != "KEY" else "")
        case "MODEL":
            from dicom_actors.scu.query_models import MODELS

            return [(name, "") for name in MODELS]
    return ()


def _peers(config: str | None) -> Iterable[tuple[str, str]]:
    from dicom_actors.cli.peers import load_peers
    from dicom_actors.cli.usage import UsageError

    try:
        return [(name, peer.address) for name, peer in load_peers(config).items()]
    except UsageError:
        return ()  # the command itself says what is wrong


def _keys(begun: str, ending: str) -> Iterator[tuple[str, str]]:
    from dicom_actors.data.dictionary import KEYWORD_TABLE, VR_TABLE, keywords

    sequences, period, _ = begun.rpartition(".")
    for keyword in keywords():
        is_sequence = VR_TABLE[KEYWORD_TABLE[keyword]] == "SQ"
        yield f"{sequences}{period}{keyword}{'.' if ending and is_sequence else ending}", ""
