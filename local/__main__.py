"""The command line of the one-machine run."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from rich.console import Console

from local.bench import run_bench
from local.cloud.access import REGION
from local.cloud.template import load_template
from local.demo import DemoFailed, run_demo
from local.machine import PARAMETERS, ROOT

DESCRIPTION = """\
Runs template.yaml on this machine, without an AWS account: its resources in moto, its functions as processes under the
Lambda Runtime API, Slack and the shop played by stand-ins. Everything listens on 127.0.0.1 alone."""

EPILOG = """\
examples:
  python -m local demo              two mornings, presses between them; the channel stays up until Ctrl-C
  python -m local demo --no-serve   the same, and ends

exit status: 0 when all went well, 1 when the demo did not do what it shows, 130 on Ctrl-C before it was done"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command that `arguments` (by default the process's own) name; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="two mornings of the main job on a made-up shop, with an account of them")
    demo.add_argument(
        "--serve",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep the channel's page up until Ctrl-C (default: yes)",
    )
    demo.add_argument(
        "--folder", type=Path, default=Path(".demo"), help="where summary.json and the logs go (default: %(default)s)"
    )
    bench = commands.add_parser("bench", help="measure how long the parts take on this machine")
    bench.add_argument(
        "--folder", type=Path, default=Path(".bench"), help="where local.json goes (default: %(default)s)"
    )
    commands.add_parser("transform", help="print template.yaml as CloudFormation's JSON, as SAM transforms it")
    options = parser.parse_args(arguments)
    if options.command == "transform":
        print(json.dumps(load_template(ROOT / "template.yaml", PARAMETERS, REGION).document, indent=2, default=str))
        return 0
    if options.command == "bench":
        run_bench(options.folder, Console(highlight=False))
        return 0
    return _demo(options)


def _demo(options: argparse.Namespace) -> int:
    summary: Path = options.folder / "summary.json"
    shutil.rmtree(options.folder / "logs", ignore_errors=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    summary.unlink(missing_ok=True)
    try:
        run_demo(options.folder, serve=options.serve, console=Console(highlight=False))
    except DemoFailed as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0 if summary.exists() else 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
