"""The command line of the one-machine run."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from rich.console import Console

from crawler.sources.registry import SOURCES
from local.bench import run_bench
from local.built import list_sizes
from local.cloud.access import REGION
from local.cloud.template import load_template
from local.cost.command import add_command as add_cost
from local.cost.command import run_cost
from local.demo import DemoFailed, run_demo
from local.image import image_test
from local.machine import PACKAGE, PARAMETERS, ROOT
from local.run import Options, RunFailed, run_once
from local.scale.command import ScaleFailed, run_scale
from local.scale.measure import MeasurementFailed
from model.commands import exit_status
from osusume.errors import UserError

ONE_OWNER = "template.yaml"
TEMPLATES = {ONE_OWNER: PARAMETERS, "template-many-owners.yaml": {"BucketName": "osusume-123456789012-ap-northeast-1"}}
"""The templates, with values for the parameters that have no default."""

DESCRIPTION = """\
Runs template.yaml on this machine, without an AWS account: its resources in moto, its functions as processes under the
Lambda Runtime API, Slack played by a stand-in. `demo` makes up the shop too, `run` reads the real one. Everything
listens on 127.0.0.1 alone."""

EPILOG = """\
examples:
  python -m local demo              two mornings, presses between them; the channel stays up until Ctrl-C
  python -m local demo --no-serve   the same, and ends

  python -m local run --source dlsite --limit 20 --contact you@example.com
                                    the newest works of the real site; the page is the channel

exit status: 0 on success, 1 when the demo or a run failed, 2 for wrong use, 130 on Ctrl-C before the end"""

RUN_DESCRIPTION = """\
Reads the newest works of the site, politely, and posts those that are new to a page on this machine, which shows them
as Slack would, with buttons that work: no AWS account, no Slack. What was read, posted and pressed is kept in a folder,
so that the next run posts only what is new. Until it has learnt a taste it posts a few random works for you to judge.

It obeys the site's robots.txt, whose crawl-delay of ten seconds makes twenty works take three and a half minutes.
Ctrl-C halfway is safe: the next run resumes and reads no page again."""

RUN_EPILOG = """\
examples:
  python -m local run --source dlsite --limit 20 --contact you@example.com
      the first day; tomorrow the same command again
  python -m local run --source dlsite --limit 20 --contact you@example.com --no-serve
      the same for cron: it ends when all is posted
  python -m local run --source dlsite --contact you@example.com --import-labels labels.jsonl --model package
      with labels from elsewhere, and a model trained on them by 'python -m model train'
  python -m local run --source feed --url https://example.com/feed --contact you@example.com --folder .feeds
      any RSS, Atom or JSON Feed instead of a shop
  python -m local.shop --crawl-delay 0.1 --port 8080
  python -m local run --source dlsite --limit 20 --site-address http://127.0.0.1:8080 --folder .trial
      a trial on the made-up shop, served in another terminal

FOLDER/labels.jsonl holds every press as a training file: 'python -m model train' learns from it, and
'python -m ops import-labels' takes it along to a deployed stack. FOLDER/logs holds the functions' logs.

exit status: 0 on success, 1 when the crawl or a function failed, 2 for wrong use, 130 on Ctrl-C before the end"""

SCALE_DESCRIPTION = """\
Says what would happen if one deployment served many owners: it lets the real functions deliver and take presses for 1,
10 and 100 owners in the local cloud, counts what was lost, doubled or crossed between them, and feeds a simulation with
the times it measured. First the simulation must predict the 100 owners from the 1 and the 10, within a fifth; then it
has AWS's limits instead of this machine's, and predicts up to 100,000 owners. docs/scale.md explains the figures.

It takes some minutes, and wants the machine for itself."""

SCALE_EPILOG = """\
examples:
  python -m local scale             measure and predict; what was measured is kept in .bench/scale.json
  python -m local scale --reuse     predict again from what was measured before
  python -m local scale --json      everything as JSON

exit status: 0 on success, 1 when the simulation is not to be believed or something was lost, doubled or crossed,
2 for wrong use, 130 on Ctrl-C"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command in `arguments` (by default the process's own); return the exit status."""
    options = command_line().parse_args(arguments)
    if options.command == "transform":
        template = load_template(ROOT / options.template, TEMPLATES[options.template], REGION)
        print(json.dumps(template.document, indent=2, default=str))
        return 0
    if options.command == "bench":
        run_bench(options.folder, Console(highlight=False))
        return 0
    if options.command == "sizes":
        return exit_status(lambda: list_sizes(options.folder, options.architecture, Console(highlight=False)))
    if options.command == "cost":
        return exit_status(lambda: run_cost(options, Console(highlight=False)))
    if options.command == "image-test":
        return exit_status(
            lambda: image_test(options.architecture, options.model, options.base, Console(highlight=False))
        )
    commands = {"demo": _demo, "run": _run, "scale": _scale}
    return commands[options.command](options)


def command_line() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="python -m local",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser("demo", help="two mornings of the main job on a made-up shop, with a report")
    demo.add_argument(
        "--serve",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep the channel's page up until Ctrl-C (default: yes)",
    )
    demo.add_argument(
        "--folder", type=Path, default=Path(".demo"), help="where summary.json and the logs go (default: %(default)s)"
    )
    _add_run(commands)
    bench = commands.add_parser("bench", help="measure how long the parts take on this machine")
    bench.add_argument(
        "--folder", type=Path, default=Path(".bench"), help="where local.json goes (default: %(default)s)"
    )
    _add_scale(commands)
    sizes = commands.add_parser("sizes", help="list the sizes of what `make build` built, and check it for Lambda")
    sizes.add_argument(
        "--folder", type=Path, default=Path(".aws-sam/build"), help="where SAM builds (default: %(default)s)"
    )
    image = commands.add_parser("image-test", help="build the classifier's image and let it score a few works")
    image.add_argument("--base", metavar="IMAGE", help="build on this image, where the Dockerfile's cannot be pulled")
    image.add_argument(
        "--model", type=Path, default=PACKAGE, metavar="DIR", help="the package (default: model/package)"
    )
    for command in (sizes, image):
        command.add_argument(
            "--architecture", choices=["x86_64", "arm64"], default="x86_64", help="the processor (default: %(default)s)"
        )
    add_cost(commands)
    transform = commands.add_parser("transform", help="print a template as CloudFormation's JSON, as SAM transforms it")
    transform.add_argument(
        "--template", choices=sorted(TEMPLATES), default=ONE_OWNER, help="which one (default: %(default)s)"
    )
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="the newest works of the real site, once; the page is the channel",
        description=RUN_DESCRIPTION,
        epilog=RUN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("--source", required=True, choices=SOURCES, help="what to read: a shop, or feeds")
    run.add_argument(
        "--url",
        action="append",
        default=[],
        dest="urls",
        metavar="URL",
        help="a feed to read with --source feed: RSS, Atom or JSON Feed; may be given several times",
    )
    run.add_argument(
        "--limit",
        type=int,
        default=20,
        metavar="N",
        help="how many of the newest works to look at (default: %(default)s)",
    )
    run.add_argument(
        "--floor", default="home", help="of the shop, as in its addresses (default: %(default)s, all ages)"
    )
    run.add_argument(
        "--contact",
        metavar="MAIL|URL",
        help="your e-mail or web address, which the User-Agent names to the site's operators; needed for the real site",
    )
    run.add_argument(
        "--folder", type=Path, default=Path(".osusume"), metavar="DIR", help="what is kept (default: %(default)s)"
    )
    run.add_argument(
        "--import-labels",
        type=Path,
        metavar="FILE",
        dest="import_file",
        help="first import labels from a training or annotation file",
    )
    run.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="score with this package, made by 'python -m model train' (default: model/package, which 'make model'"
        " makes and which scores nothing until it has learned)",
    )
    run.add_argument(
        "--like",
        action="append",
        default=[],
        metavar="NAME",
        help="a voice actor, circle, genre or word that you like, for the first mornings; may be given several times",
    )
    run.add_argument("--site-address", metavar="URL", help="a stand-in for the site, on this machine")
    run.add_argument(
        "--serve",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep the channel's page up until Ctrl-C (default: yes)",
    )


def _add_scale(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    scale = commands.add_parser(
        "scale",
        help="predict what many owners would need, from what a few need here",
        description=SCALE_DESCRIPTION,
        epilog=SCALE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    scale.add_argument(
        "--file",
        type=Path,
        default=Path(".bench/scale.json"),
        metavar="FILE",
        help="where the measurement is kept (default: %(default)s)",
    )
    scale.add_argument("--reuse", action="store_true", help="measure nothing: predict from FILE")
    scale.add_argument("--json", action="store_true", dest="as_json", help="print everything as JSON")


def _scale(options: argparse.Namespace) -> int:
    try:
        run_scale(options.file, Console(highlight=False), reuse=options.reuse, as_json=options.as_json)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (MeasurementFailed, ScaleFailed) as error:
        print(f"scale failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _run(options: argparse.Namespace) -> int:
    values = {name: value for name, value in vars(options).items() if name != "command"}
    try:
        run_once(Options(**values), Console(highlight=False))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RunFailed as error:
        print(f"run failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: what was read is kept, and the next run resumes there.", file=sys.stderr)
        return 130
    return 0


def _demo(options: argparse.Namespace) -> int:
    summary: Path = options.folder / "summary.json"
    shutil.rmtree(options.folder / "logs", ignore_errors=True)
    options.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
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
