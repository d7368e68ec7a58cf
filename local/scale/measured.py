"""What was measured: batches of deliveries and presses for some owners, kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from local.scale.counts import Counts
from local.scale.heads import HeadSeconds
from osusume.errors import UserError


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs of one kind, done `at_once` at a time in `wall` seconds.

    `processors` are the processor seconds that everything together used: of the process that plays AWS and Slack
    (`main`), of the functions, and of all else on the machine (`others`). `seconds` has one figure a job: when a
    delivery ended, counted from the snapshot, or how long a press took to be answered. `invoked` are the seconds that
    Lambda would bill, by kind of invocation, `calls` the calls of AWS by operation, in which the functions waited for
    `calling` seconds.
    """

    at_once: int
    wall: float
    processors: dict[str, float]
    seconds: list[float]
    invoked: dict[str, float]
    calls: dict[str, int]
    calling: float


@dataclass(frozen=True, slots=True)
class Run:
    """What was measured for a number of owners, in one or several batches of each kind; `posts` are all messages."""

    owners: int
    deliveries: list[Batch]
    presses: list[Batch]
    posts: int
    counts: Counts


@dataclass(frozen=True, slots=True)
class Measured:
    """The runs by number of owners, of a snapshot with `items` new works.

    `press_start_seconds` is how much longer a press takes that starts the function's process, `record_bytes` the size
    of a ledger's record, `log_bytes` what an invocation of each kind logs.
    """

    at: str
    machine: str
    items: int
    runs: dict[int, Run]
    heads: HeadSeconds
    press_start_seconds: float
    record_bytes: float
    log_bytes: dict[str, float]

    def write(self, path: Path) -> None:
        """Write the measurement as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> Measured:
        """Return the measurement in a file. Raises `UserError`."""
        try:
            stored = json.loads(path.read_text("utf-8"))
            runs = {int(owners): _run(run) for owners, run in stored.pop("runs").items()}
            return cls(runs=runs, heads=HeadSeconds(**stored.pop("heads")), **stored)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is no measurement of `python -m local scale`: {error}") from error


def _run(stored: dict[str, Any]) -> Run:
    deliveries, presses = ([Batch(**batch) for batch in stored.pop(name)] for name in ("deliveries", "presses"))
    return Run(deliveries=deliveries, presses=presses, counts=Counts(**stored.pop("counts")), **stored)


class Means(NamedTuple):
    """The means of a job over several batches; `others` are cores that everything else kept busy."""

    wall: float
    main: float
    function: float
    classifier: float
    others: float
    calls: float


def means(batches: Iterable[Batch]) -> Means:
    """Return what one job took on average."""
    listed = list(batches)
    jobs, wall = sum(len(batch.seconds) for batch in listed), sum(batch.wall for batch in listed)

    def processor(name: str) -> float:
        return sum(batch.processors.get(name, 0.0) for batch in listed)

    return Means(
        wall=wall / jobs,
        main=processor("main") / jobs,
        function=(processor("notifier") + processor("feedback")) / jobs,
        classifier=processor("classifier") / jobs,
        others=processor("others") / wall,
        calls=sum(sum(batch.calls.values()) for batch in listed) / jobs,
    )
