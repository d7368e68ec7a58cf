"""`python -m ops dead-letters`: show events that failed for good, and send them again."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from ops.commands import Commands, add_command, add_group
from ops.dead_letter_queue import Letter, Letters
from ops.stack import open_stack
from osusume.errors import UserError

_EPILOG = """\
Fix the cause first: an event that fails again comes back as a new letter. A letter is deleted only after Lambda has
accepted its event. Sending an event twice is harmless, because every function is idempotent. A letter is kept for 14
days.

examples:
  python -m ops dead-letters list
  python -m ops dead-letters send 3f2a9c1d --yes
  python -m ops dead-letters send --all --yes

exit status: 0, or 1 if a letter could not be sent"""


def add(commands: Commands) -> None:
    """Add the command."""
    actions = add_group(commands, "dead-letters", "show events that failed for good, and send them again", _EPILOG)
    listing = add_command(actions, "list", run_list, "show what failed, when, in which function and why", _EPILOG)
    listing.add_argument("--json", action="store_true", help="print a JSON list that includes the events")
    sending = add_command(actions, "send", run_send, "send events to their functions again", _EPILOG, asks=True)
    sending.add_argument("ids", nargs="*", metavar="ID", help="of letters, as the list shows them")
    sending.add_argument("--all", action="store_true", help="send every letter")


def run_list(options: argparse.Namespace) -> None:
    """Print every letter, and leave all in the queue."""
    with Letters(open_stack(options)).held() as letters:
        if options.json:
            print(json.dumps([_as_json(letter) for letter in letters], ensure_ascii=False, indent=1))
            return
        for letter in letters:
            print(_line(letter))
        print(f"{len(letters)} dead letters" if letters else "no dead letters")


def run_send(options: argparse.Namespace) -> None:
    """Send the named letters. Raises `UserError` if one could not be sent."""
    if bool(options.ids) == options.all:
        raise UserError("give the ids of letters, as 'dead-letters list' shows them, or --all")
    queue = Letters(open_stack(options))
    with queue.held() as held:
        letters = [letter for letter in held if options.all or letter.letter_id in options.ids]
        if unknown := sorted(set(options.ids) - {letter.letter_id for letter in letters}):
            raise UserError(f"there is no letter {', '.join(unknown)}: 'dead-letters list' shows the letters")
        failed = []
        for letter in letters:
            if not options.yes:
                print(f"would send again: {_line(letter)}")
                continue
            try:
                queue.send_again(letter, held)
            except UserError as error:
                failed.append(str(error))
            else:
                print(f"sent again: {_line(letter)}")
    if failed:
        raise UserError("; ".join(failed))
    if not letters:
        print("no dead letters")
    elif not options.yes:
        print("nothing was sent: add --yes to send")


def _line(letter: Letter) -> str:
    when = letter.written_at.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return f"{letter.letter_id}  {when}  {letter.function or '(no function)'}  {letter.subject}\n    {letter.reason}"


def _as_json(letter: Letter) -> dict[str, object]:
    shown = asdict(letter)
    del shown["receipt"]
    return {**shown, "written_at": letter.written_at.isoformat()}
