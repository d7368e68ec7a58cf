"""Serves the made-up shop on loopback until Ctrl-C: `python -m local.shop`."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence

from local.shop.site import serve_site
from samples.works import DEMO_DAYS

_LISTING = "/home/works/type/=/work_type_category/audio/order/release_d/per_page/100/page/1/show_type/3"


def command_line() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m local.shop", description=__doc__)
    parser.add_argument("--day", type=int, default=1, choices=range(1, len(DEMO_DAYS) + 1), help="the demo's day")
    parser.add_argument("--crawl-delay", type=float, default=10.0, help="seconds that robots.txt asks for")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes one that is free")
    return parser


def main(given: Sequence[str] | None = None) -> None:
    """Serve as the command line says, that of the process unless given; ends with `SystemExit`."""
    arguments = command_line().parse_args(given)
    try:
        with serve_site(arguments.crawl_delay, arguments.day, port=arguments.port) as site:
            print(f"Day {site.day}: {len(site.entries())} works at {site.address}{_LISTING}", flush=True)
            print("Ctrl-C ends it.", flush=True)
            threading.Event().wait()
    except KeyboardInterrupt:
        sys.exit(0)
    except (OSError, OverflowError) as error:
        sys.exit(f"port {arguments.port} of 127.0.0.1 cannot be used ({error}): choose another with --port")


if __name__ == "__main__":
    main()
