"""Crash at every step: a function's process dies, or an answer is lost, at each call that it makes.

The steps are the calls that a recording run makes. Each is run once a moment: the process is killed just before the
call is applied, just after it is applied and before its answer comes, or lives on and does not get the answer. Then
Lambda tries again, a quiet day goes by, and everything is audited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial

from injector import Act, Rule, after_its_work, answer_lost, killed_before, nth_call

from faults.harness import Harness, Settings, harness
from faults.rows import Row

GROUP = "Crash at every step"
MOMENTS = ("killed before", "killed after", "answer lost")
TURN_SECONDS, TURN_DELAY, TURN_WORKS = 6.0, 1.3, 4
"""A time limit, a crawl-delay and a number of new works that do not fit one turn of the crawler.

The first turn has time for four requests and a second more: slowness does not decide which request is its last.
"""

MOST_TRIES = 3
"""How often a step is waited for: the clock may still let a crawl's turns end elsewhere than when it was recorded."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Every step of one function, in what makes it take them: `act`, which must make it call `goal`.

    `seconds` is about how long one moment of it takes.
    """

    name: str
    function: str
    act: Callable[[Harness], None]
    goal: str
    seconds: float
    settings: Settings = field(default_factory=Settings)


def a_crawl_in_turns(on: Harness) -> None:
    """Let a day begin whose crawl takes several turns."""
    on.machine.site.crawl_delay = TURN_DELAY
    on.begin_day(TURN_WORKS)
    on.settle()
    on.machine.site.crawl_delay = 0.0


def a_morning(on: Harness) -> None:
    """Let a day begin."""
    on.begin_day()
    on.settle()


def a_cold_morning(on: Harness) -> None:
    """Let a day begin on which the classifier starts."""
    on.machine.cloud.kill("ClassifierFunction")
    a_morning(on)


def a_press(on: Harness) -> None:
    """Press a button until it is taken, a cold function behind it, and let Slack be told."""
    on.machine.cloud.kill("FeedbackFunction")
    on.press_until_taken(on.newest_message())
    on.settle()


IN_TURNS = Settings(time_limits=(("CrawlerFunction", TURN_SECONDS),))
SWEEPS = (
    Sweep("crash-crawler", "CrawlerFunction", a_crawl_in_turns, "lambda:Invoke", 300.0, IN_TURNS),
    Sweep("crash-notifier", "NotifierFunction", a_morning, "slack:chat.postMessage", 80.0),
    Sweep("crash-classifier", "ClassifierFunction", a_cold_morning, "s3:ListObjectsV2", 20.0),
    Sweep("crash-feedback", "FeedbackFunction", a_press, "slack:response_url", 20.0),
)


@dataclass(frozen=True, slots=True)
class Step:
    """The `nth` call of one operation by the sweep's function. Counted so, it is the same step in every run."""

    operation: str
    nth: int

    def __str__(self) -> str:
        return f"{self.operation} #{self.nth}"

    def fits(self, pattern: str) -> bool:
        """Whether a pattern fits the operation alone or with its number."""
        return fnmatchcase(self.operation, pattern) or fnmatchcase(str(self), pattern)


def swept(sweep: Sweep, moment: str, *, every: int = 1, pattern: str = "*", times: int = 1) -> Iterator[Row]:
    """Run a sweep at one of the `MOMENTS` and yield a row for each kind of call.

    `every` takes every so many steps, `pattern` those that it fits, and each is taken `times` times.
    """
    with harness(sweep.settings) as on:
        recorded_steps = recorded(on, sweep)
    if not any(step.operation == sweep.goal for step in recorded_steps):
        raise RuntimeError(f"{sweep.name} never came to {sweep.goal}: what it is there for was not done")
    steps = times * [step for step in recorded_steps[::every] if step.fits(pattern)]
    rows: dict[str, Row] = {}
    while steps:
        with harness(sweep.settings) as on:
            while steps and crash(on, sweep, steps.pop(0), moment, rows):
                pass  # what is wrong stays wrong in a world: then the next step gets a new one
    yield from rows.values()


def recorded(on: Harness, sweep: Sweep) -> list[Step]:
    """Return the steps that the function takes, undisturbed."""
    before = len(on.wire.log)
    with on.trouble():
        sweep.act(on)
    met = Counter[str]()
    steps = []
    for noted in on.wire.log[before:]:
        if noted.function == sweep.function:
            met[noted.operation] += 1
            steps.append(Step(noted.operation, met[noted.operation]))
    return steps


def crash(on: Harness, sweep: Sweep, step: Step, moment: str, rows: dict[str, Row]) -> bool:
    """Crash at a step of a sweep, add what came of it to the row of its operation, and return whether all is well."""
    for _ in range(MOST_TRIES):
        rule = Rule(nth_call(sweep.function, step.operation, step.nth), _act(moment, on), times=1)
        audit = on.observe(partial(_act_and_recover, sweep=sweep, rule=rule))
        if rule.met or not audit.is_clean:
            break
    name = f"{sweep.function.removesuffix('Function').lower()} {step.operation}"
    row = rows.setdefault(name, Row(GROUP, sweep.name, f"`{name}`: {', '.join(MOMENTS)}"))
    where = f"{moment} at {step}"
    row.add(rule.met, replace(audit, problems=[f"{where}: {problem}" for problem in audit.problems]))
    if not audit.is_clean:
        row.problems.append(f"{where}: {audit.lost} lost, {audit.doubled} doubled, {audit.presses_lost} presses")
    return audit.is_clean


def _act_and_recover(on: Harness, sweep: Sweep, rule: Rule) -> None:
    with on.trouble([rule]):
        sweep.act(on)
    on.a_day(1)


def _act(moment: str, on: Harness) -> Act:
    kill = killed_before(on.machine.cloud.kill)
    return {"killed before": kill, "killed after": after_its_work(kill), "answer lost": answer_lost}[moment]
