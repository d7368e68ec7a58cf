"""The commands of `python -m model`, one module each.

Each module has `add(commands)`, which describes the command to argparse and sets `run`, the function that does it. It
imports what only running needs inside `run`, so that `--help` works everywhere.
"""

from __future__ import annotations

import argparse
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

COMMANDS = ("train", "dataset", "export", "evaluate", "bench", "starter")
"""In the order in which `--help` lists them."""
