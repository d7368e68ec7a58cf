"""`python -m model`: the commands around the model."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from model.commands import COMMANDS
from osusume.errors import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 for what its user can mend, 130 on Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m model", description="Make, judge and measure model packages.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        importlib.import_module(f"model.commands.{name}").add(commands)
    options = parser.parse_args(arguments)
    try:
        options.run(options)
    except ModuleNotFoundError as error:
        print(f"{error.name} is not installed: run 'pip install -r requirements/train.txt'", file=sys.stderr)
        return 1
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
