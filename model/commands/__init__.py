"""The commands of `python -m model`, one module each.

Each module has `add(commands)`, which describes the command to argparse and sets `run`, the function that does it. It
imports what only running needs inside `run`, so that `--help` works everywhere.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TypeAlias

from osusume.errors import UserError

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

COMMANDS = ("train", "dataset", "export", "evaluate", "bench", "starter")
"""In the order in which `--help` lists them."""


def exit_status(run: Callable[[], object]) -> int:
    """Run a command and return its exit status: 0, 1 for an error that its user can correct, 130 on Ctrl-C.

    The error is printed.
    """
    try:
        run()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
