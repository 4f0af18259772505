"""The arguments of the commands that ask a peer for something: ``echo``, ``store`` and others."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any, Final

from dicom_actors.cli.argument_types import ae_title, count, duration, positive
from dicom_actors.cli.arguments_of_connections import connection_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["add_commands"]

_KEYS: Final = """
A KEY is a keyword of the dictionary or a tag (0010,0010); within a sequence it follows the
sequence and a period. A VALUE may have wild cards (DOE*, ?), a range (20250101-20251231), or
several values between backslashes.
"""

_ROWS: Final = "what must match; or numbers of the last table of `find`, as in `get pacs 3`"


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add them."""
    connection = connection_arguments()
    _add_echo(commands, connection)
    _add_store(commands, connection)
    _add_find(commands, connection)
    _add_get(commands, connection)
    _add_move(commands, connection)
    _add_sync(commands, connection)
    _add_peers(commands)
    _add_completion(commands)


def _add_echo(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    connection: argparse.ArgumentParser,
) -> None:
    _command(
        commands,
        "echo",
        _echo,
        connection,
        help="ask whether a peer is there",
        description="Associate with a peer and ask whether it answers (C-ECHO).",
        epilog="""examples:
  dicom-actors echo PACS@pacs.example.org:104
  dicom-actors echo localhost:4242 --verbose      what is negotiated
  dicom-actors echo pacs                          a name of the configuration file""",
    )


def _add_store(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    connection: argparse.ArgumentParser,
) -> None:
    store = _command(
        commands,
        "store",
        _store,
        connection,
        rest="paths",
        help="send files and folders",
        description="Send DICOM files, and all files in and below folders (C-STORE). They go out\n"
        "as they are; where the peer does not take their transfer syntax, uncompressed ones are\n"
        "converted. When the association is lost it goes on with a new one. What is not stored is\n"
        "reported at the end, and makes the exit code 1.",
        epilog="""examples:
  dicom-actors store PACS@pacs.example.org:104 image.dcm study/
  dicom-actors store pacs study/ --parallel 4
  dicom-actors store pacs archive/ --resume archive.journal     the same again goes on
  dicom-actors store pacs outbox/ --watch --resume outbox.journal""",
    )
    store.add_argument("paths", nargs="+", metavar="PATH", help="files and folders")
    store.add_argument(
        "--parallel",
        type=positive,
        default=1,
        metavar="N",
        help="send on so many associations (default: 1)",
    )
    store.add_argument(
        "--window",
        type=positive,
        default=1,
        metavar="N",
        help="send so many objects before an answer comes, if the peer takes them (default: 1)",
    )
    _add_retries(store)
    store.add_argument(
        "--resume",
        metavar="FILE",
        help="keep a journal of what is stored in this file, and do not send again what is in it",
    )
    store.add_argument(
        "--send-damaged",
        action="store_true",
        help="send files that are cut off or cannot be read, too, as they are",
    )
    store.add_argument(
        "--transcode",
        nargs="?",
        choices=("off", "lossless", "lossy"),
        const="lossless",
        default="off",
        help="send what the peer does not take as it is in a transfer syntax that it takes; lossy:"
        " where it takes none else, too, as another instance (default: off)",
    )
    store.add_argument(
        "--watch",
        action="store_true",
        help="go on, and send what appears in the folders once it is whole, until Ctrl-C",
    )
    store.add_argument(
        "--interval",
        type=duration,
        default=2.0,
        metavar="SECONDS",
        help="with --watch: how often to look; a file is whole if it is the same twice "
        "(default: 2)",
    )


def _add_find(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    connection: argparse.ArgumentParser,
) -> None:
    find = _command(
        commands,
        "find",
        _find,
        connection,
        rest="keys",
        help="ask what a peer has that matches",
        description="Ask for patients, studies, series, instances or other things (C-FIND), and\n"
        f"print what matches.\n{_KEYS}\n"
        "A key without a value is returned, whatever it is. If all keys have values, the usual\n"
        "ones of the level are returned, too.",
        epilog="""examples:
  dicom-actors find pacs 'PatientName=DOE*'
  dicom-actors get pacs 3                             the third of these
  dicom-actors find pacs PatientID=4711 --columns StudyDate,StudyInstanceUID
  dicom-actors find pacs 'StudyDate=20250101-' PatientName StudyInstanceUID --csv
  dicom-actors find pacs --level SERIES StudyInstanceUID=1.2.3 --json
  dicom-actors find ris --model worklist ScheduledProcedureStepSequence.Modality=CT""",
    )
    find.add_argument(
        "keys", nargs="*", metavar="KEY=VALUE", help="what must match; KEY alone: to be returned"
    )
    _add_level(find, "(default: STUDY, where the model has levels)")
    _add_model(find)
    find.add_argument(
        "--limit", type=positive, metavar="N", help="cancel the query after so many matches"
    )
    find.add_argument("--csv", action="store_true", help="print comma-separated values")
    find.add_argument(
        "--columns",
        type=lambda text: text.split(","),
        metavar="KEY,KEY...",
        help="what is shown of each match (default: the keys, or what is usual for the level)",
    )


def _add_get(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    connection: argparse.ArgumentParser,
) -> None:
    get = _command(
        commands,
        "get",
        _get,
        connection,
        rest="keys",
        help="retrieve objects into a folder",
        description="Have objects sent here (C-GET), and keep each of them as\n"
        f"DIR/<study>/<series>/<instance>.dcm.\n{_KEYS}",
        epilog="""examples:
  dicom-actors get pacs StudyInstanceUID=1.2.3 --output images
  dicom-actors get pacs StudyInstanceUID=1.2.3 SeriesInstanceUID=1.2.3.4
  dicom-actors get pacs StudyInstanceUID=1.2.3 --transfer-syntax JPEGBaseline8Bit""",
    )
    get.add_argument("keys", nargs="+", metavar="KEY=VALUE", help=_ROWS)
    get.add_argument(
        "--output", default=".", metavar="DIR", help="where to (default: the current folder)"
    )
    get.add_argument(
        "--transfer-syntax",
        action="append",
        default=[],
        metavar="NAME",
        help="what the objects may come in, a UID or its keyword; more than once, the preferred "
        "one first (default: uncompressed)",
    )
    _add_level(get, "(default: the lowest one of which a UID is given)")
    _add_model(get)


def _add_move(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    connection: argparse.ArgumentParser,
) -> None:
    move = _command(
        commands,
        "move",
        _move,
        connection,
        rest="keys",
        help="have objects sent to an application entity",
        description="Have a peer send objects to an application entity that it knows (C-MOVE).\n"
        f"{_KEYS}",
        epilog="""examples:
  dicom-actors move pacs StudyInstanceUID=1.2.3 --destination WORKSTATION""",
    )
    move.add_argument("keys", nargs="+", metavar="KEY=VALUE", help=_ROWS)
    move.add_argument(
        "--destination",
        required=True,
        type=ae_title,
        metavar="AE",
        help="the AE title of the receiver, as the peer knows it",
    )
    _add_level(move, "(default: the lowest one of which a UID is given)")
    _add_model(move)


def _add_sync(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    connection: argparse.ArgumentParser,
) -> None:
    sync = _command(
        commands,
        "sync",
        _sync,
        connection,
        rest="keys",
        help="get what a peer has and a folder has not",
        description="Ask what a peer has of the studies that match (C-FIND), get what has no\n"
        "file DIR/<study>/<series>/<instance>.dcm yet (C-GET), and verify that each instance\n"
        f"has one in the end.\n{_KEYS}",
        epilog="""examples:
  dicom-actors sync pacs 'StudyDate=20250101-' --output images
  dicom-actors sync pacs PatientID=4711 --output images --dry-run    how much is missing""",
    )
    sync.add_argument("keys", nargs="+", metavar="KEY=VALUE", help="which studies")
    sync.add_argument(
        "--output", default=".", metavar="DIR", help="where to (default: the current folder)"
    )
    sync.add_argument("--dry-run", action="store_true", help="get nothing; say what is missing")
    _add_retries(sync)
    _add_model(sync)


def _add_peers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    peers = commands.add_parser(
        "peers",
        help="list the peers that have a name",
        description="List the peers of the configuration file, which is dicom-actors.toml in\n"
        "~/.config (or $XDG_CONFIG_HOME).",
        epilog="""example of the file:
  [peers.pacs]
  address = "PACS@pacs.example.org:104"
  calling = "WORKSTATION"       # the rest may be left out
  timeout = 60
  user = "jane"
  passcode_file = "pacs.passcode"
  tls = {authorities = "hospital.pem", certificate = "me.pem", key = "me.key"}   # or true""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    peers.add_argument("--config", metavar="FILE", help="another configuration file")
    peers.add_argument("--json", action="store_true", help="print one line of JSON for each")
    peers.set_defaults(run=_peers)


def _add_completion(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    completion = commands.add_parser(
        "completion",
        help="print a script that lets a shell complete commands",
        description="Print a script for a shell, which completes commands, options, peers and keys"
        " on TAB.",
        epilog="""examples:
  source <(dicom-actors completion bash)              in ~/.bashrc
  source <(dicom-actors completion zsh)               in ~/.zshrc, after compinit
  dicom-actors completion fish | source               in ~/.config/fish/config.fish""",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="which shell")
    completion.set_defaults(run=_completion)


# --- what several have -----------------------------------------------------------------------


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace], int],
    connection: argparse.ArgumentParser,
    *,
    rest: str | None = None,
    **texts: Any,
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        parents=[connection],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        **texts,
    )
    command.set_defaults(run=run, rest=rest)
    return command


def _add_retries(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--retries",
        type=count,
        default=3,
        metavar="N",
        help="ask so many times in a row for an association that is lost, with pauses of 1, 2, 4 "
        "and so on up to 60 seconds between (default: 3)",
    )


def _add_level(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--level",
        type=str.upper,
        choices=("PATIENT", "STUDY", "SERIES", "IMAGE"),
        help=f"what is asked for {default}",
    )


def _add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        metavar="MODEL",
        help="the information model: patient, study, worklist and others, a UID or its keyword "
        "(default: one that fits level and keys)",
    )


def _echo(options: argparse.Namespace) -> int:
    from dicom_actors.cli.echo import echo

    return echo(options)


def _store(options: argparse.Namespace) -> int:
    from dicom_actors.cli.store import store

    return store(options)


def _find(options: argparse.Namespace) -> int:
    from dicom_actors.cli.find import find

    return find(options)


def _get(options: argparse.Namespace) -> int:
    from dicom_actors.cli.retrieve import get

    return get(options)


def _move(options: argparse.Namespace) -> int:
    from dicom_actors.cli.retrieve import move

    return move(options)


def _sync(options: argparse.Namespace) -> int:
    from dicom_actors.cli.sync import sync

    return sync(options)


def _peers(options: argparse.Namespace) -> int:
    from dicom_actors.cli.list_peers import list_peers

    return list_peers(options)


def _completion(options: argparse.Namespace) -> int:
    from dicom_actors.cli.completion import print_script

    return print_script(options.shell)
