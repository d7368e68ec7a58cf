"""A small world to break: one machine behind the wire, a shop that grows day by day, and the audit of what came of it.

The threshold is 0, so that every work that the shop puts on sale is worth posting: whatever is not in Slack was lost.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from injector import Rule

from faults.observations import Seen, Watch
from faults.wire import Wire
from local.cloud.access import REGION
from local.cloud.template import load_template
from local.machine import PARAMETERS, ROOT, SCHEDULE, Machine, one_machine
from local.slack import Message
from local.slack.channel import RateLimit, as_ts
from osusume.labels import Labels
from osusume.messages import INTERESTED
from osusume.snapshots import InvalidSnapshot, snapshot_key
from samples.works import generate_works

FIRST_MORNING = datetime(2026, 4, 1, 22, 0, tzinfo=UTC)
FIRST_WORKS, WORKS = 8, 4000
SMALL = {"ItemLimit": "12", "Threshold": "0", "MaxPosts": "100"}
CLAIM_SECONDS = 3
RETRY_DELAYS = (0.05, 0.1)
LONGEST_DAY_SECONDS = 300.0
MOST_PRESSES = 5
CRAWL_KEY = "crawls/dlsite/crawl.json"
A_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How a world differs from the usual: `parameters` of the template and functions' time limits in trouble, as pairs.

    Pairs rather than mappings, so that faults that need the same machine are told by equal settings.
    """

    parameters: tuple[tuple[str, str], ...] = ()
    time_limits: tuple[tuple[str, float], ...] = ()


@dataclass(slots=True, kw_only=True)
class Audit:
    """What came of a fault: three counts, what else is wrong, in words, and what the owner saw."""

    lost: int = 0
    doubled: int = 0
    presses_lost: int = 0
    problems: list[str] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, nothing doubled and nothing else is wrong."""
        return not (self.lost or self.doubled or self.presses_lost or self.problems)


@dataclass(slots=True)
class Harness:
    """One machine, its wire, and what was done to it so far: works put on sale a day, snapshots due, presses.

    The owner's presses, by item id and time, are in `tried`; in `pressed` are those that were answered 200, with what
    they meant.
    """

    machine: Machine
    wire: Wire
    document: Mapping[str, Any]
    time_limits: Mapping[str, float] = field(default_factory=dict)
    days: list[int] = field(default_factory=list)
    due: list[str] = field(default_factory=list)
    pressed: dict[str, list[tuple[float, bool]]] = field(default_factory=dict)
    tried: set[tuple[str, str]] = field(default_factory=set)

    # ---- what a fault does ----

    def begin_day(self, new: int = 2, at: datetime | None = None) -> None:
        """Put `new` works on sale and fire the schedule, of the next morning or `at`; the rest goes on by itself."""
        self.machine.cloud.fire_schedule(SCHEDULE, self.next_morning(new, at))

    def next_morning(self, new: int = 2, at: datetime | None = None) -> datetime:
        """Let a night pass, put `new` works on sale, and return when the schedule is due: the next morning or `at`."""
        self._let_a_night_pass()
        self.put_on_sale(new)
        moment = self.morning if at is None else at
        self.due.append(snapshot_key("dlsite", moment))
        return moment

    def put_on_sale(self, new: int) -> None:
        """Let the shop turn to its next day, with `new` works."""
        self.days.append(new)
        self.machine.site.days = [FIRST_WORKS, *self.days]
        self.machine.site.day = len(self.days) + 1

    def _let_a_night_pass(self) -> None:
        """Make the times in the crawl's progress a day older: the crawler's clock is real, and a day takes seconds."""
        s3, bucket = self.machine.cloud.client("s3"), self.machine.cloud.resources["Bucket"]
        try:
            progress = json.loads(s3.get_object(Bucket=bucket, Key=CRAWL_KEY)["Body"].read())
        except s3.exceptions.NoSuchKey:
            return
        times = {name: value for name, value in progress.items() if isinstance(value, float) and value > A_DAY_SECONDS}
        older = progress | {name: value - A_DAY_SECONDS for name, value in times.items()}
        s3.put_object(Bucket=bucket, Key=CRAWL_KEY, Body=json.dumps(older).encode())

    @property
    def morning(self) -> datetime:
        """When the schedule is due on the present day."""
        return FIRST_MORNING + timedelta(days=len(self.days))

    def a_day(self, new: int = 2, rules: Sequence[Rule] = ()) -> None:
        """Let a whole day go by, retries included: in trouble while calls meet the rules, a calm one without rules."""
        with ExitStack() as trouble:
            if rules:
                trouble.enter_context(self.trouble(rules))
            self.begin_day(new)
            self.settle()

    @contextmanager
    def trouble(self, rules: Sequence[Rule] = ()) -> Iterator[None]:
        """Let calls meet the rules, and functions have the time limits of the settings, while the context lasts.

        Calm days have the template's limits: in a shorter one a busy machine would be one more fault.
        """
        with ExitStack() as limits:
            for function, seconds in self.time_limits.items():
                limits.enter_context(self.machine.cloud.time_limit(function, seconds))
            self.wire.rules = list(rules)
            try:
                yield
            finally:
                self.wire.rules = []

    def settle(self) -> None:
        """Wait until nothing is queued, running or waiting for a retry. Raises `StillBusy`."""
        self.machine.cloud.wait_until_idle(LONGEST_DAY_SECONDS)

    def newest_message(self) -> Message:
        """Return the newest message about an item."""
        return next(message for message in reversed(self.machine.slack.messages) if message.item_id)

    def press(self, message: Message, action_id: str = INTERESTED, at: float | None = None) -> bool:
        """Press a button once, by Slack's clock at `at`; return whether the press was answered 200."""
        at = time.time() if at is None else at
        self.tried.add((str(message.item_id), as_ts(at)))
        try:
            answer = self.machine.slack.press(message.ts, action_id, at=at)
        except requests.RequestException:
            return False
        if answer.status_code != requests.codes.ok:
            return False
        self.pressed.setdefault(str(message.item_id), []).append((at, action_id == INTERESTED))
        return True

    def press_until_taken(self, message: Message, action_id: str = INTERESTED) -> int:
        """Press a button until Slack shows no warning, as an owner does; return how many presses it took."""
        for tries in range(1, MOST_PRESSES + 1):
            if self.press(message, action_id):
                return tries
        raise RuntimeError(f"{MOST_PRESSES} presses in a row were not taken")

    # ---- what came of it ----

    def observe(self, happen: Callable[[Harness], object]) -> Audit:
        """Let something happen, and audit everything that is there afterwards."""
        watch = Watch(self.document, self.machine)
        due = len(self.due)
        happen(self)
        self.settle()
        said = [key for key, run in self.machine.ledger.runs(self.due[due:]).items() if run.status == "posted"]
        seen = watch.seen(len(self.due[due:]) - len(said))
        return self._audit(seen)

    def _audit(self, seen: Seen) -> Audit:
        posted = Counter(message.item_id for message in self.machine.slack.messages if message.item_id)
        on_sale = [entry.item.item_id for entry in self.machine.site.entries() if entry.work_type == "SOU"]
        checks = (self._half_snapshots, self._summaries, self._fetched_again, self._unfinished, self._strange_labels)
        problems = [problem for check in checks for problem in check()]
        return Audit(
            lost=len(self._unposted(on_sale, posted)),
            doubled=posted.total() - len(posted),
            presses_lost=presses_lost(self.machine.labels, self.pressed),
            problems=[*problems, *self.machine.cloud.delivery_errors],
            seen=seen,
        )

    def _unposted(self, on_sale: list[str], posted: Container[str | None]) -> list[str]:
        """Return the ids of works that are neither posted nor passed over on purpose."""
        unposted = [item_id for item_id in on_sale if item_id not in posted]
        records = self.machine.ledger.get(unposted)
        passed = {item_id for item_id, known in records.items() if known.choice == "passed"}
        return [item_id for item_id in unposted if item_id not in passed]

    def _half_snapshots(self) -> Iterator[str]:
        for key in self.machine.snapshot_keys:
            try:
                snapshot = self.machine.snapshot(key)
            except InvalidSnapshot as error:
                yield str(error)
            else:
                ids = Counter(item.item_id for item in snapshot.items)
                yield from (f"{key} has {item_id} {times} times" for item_id, times in ids.items() if times > 1)

    def _summaries(self) -> Iterator[str]:
        """Each snapshot is spoken of once; one whose event failed for good waits in the dead-letter queue instead."""
        payloads = [(message.metadata or {}).get("event_payload", {}) for message in self.machine.slack.messages]
        said = Counter(payload.get("snapshot") for payload in payloads if "item_id" not in payload)
        for key in self.machine.snapshot_keys:
            if said[key] != 1 and not (said[key] == 0 and self._is_dead(key)):
                yield f"the run of {key} was spoken of {said[key]} times"

    def _is_dead(self, key: str) -> bool:
        failed = Counter(
            invocation.request_id
            for invocation in self.machine.cloud.invocations
            if invocation.function == "NotifierFunction" and invocation.error and key in str(invocation.event)
        )
        return any(times == 1 + len(RETRY_DELAYS) for times in failed.values())

    def _fetched_again(self) -> Iterator[str]:
        saved: set[str] = set()
        for noted in list(self.wire.log):
            item_id = noted.path.rpartition("/")[2].partition(".")[0]
            if noted.operation.startswith("s3:PutObject") and "/pages/" in noted.path and noted.applied == 200:
                saved.add(item_id)
            elif "/product_id/" in noted.path and item_id in saved:
                yield f"the page of {item_id} was fetched again after it was saved"

    def _unfinished(self) -> Iterator[str]:
        for entries in self.machine.ledger.unfinished():
            yield from (f"{name} was left unfinished" for name in entries)

    def _strange_labels(self) -> Iterator[str]:
        for label in self.machine.labels.all():
            if (label.item_id, as_ts(float(label.action_ts))) not in self.tried:
                yield f"the label of {label.item_id} comes from a press that the owner did not make"


def presses_lost(labels: Labels, taken: Mapping[str, Sequence[tuple[float, bool]]]) -> int:
    """Count the presses answered 200, by item id, time and meaning, that a label neither shows nor is later than."""
    lost = 0
    for item_id, presses in taken.items():
        label = labels.get(item_id)
        at, is_interested = max(presses)
        stored = float(label.action_ts) if label else 0.0
        lost += sum(stored < float(as_ts(when)) for when, _ in presses)
        if label and stored == float(as_ts(at)):
            lost += label.is_interested != is_interested
    return lost


@contextmanager
def harness(settings: Settings = Settings()) -> Iterator[Harness]:
    """Start a world and let its first day go by."""
    parameters = {**PARAMETERS, **SMALL, **dict(settings.parameters)}
    document = load_template(ROOT / "template.yaml", parameters, REGION).document
    functions = [name for name, value in document["Resources"].items() if value["Type"] == "AWS::Lambda::Function"]
    with Wire(functions) as wire:
        overrides = {function: wire.environment(function) for function in functions}
        overrides["NotifierFunction"]["CLAIM_SECONDS"] = str(CLAIM_SECONDS)
        overrides["ClassifierFunction"]["MODEL_PACKAGE"] = str(ROOT / "model" / "starter")
        with one_machine(
            crawl_delay=0.0,
            parameters=parameters,
            overrides=overrides,
            retry_delays=RETRY_DELAYS,
            proxy_ports=wire.ports,
        ) as machine:
            cloud, slack = machine.cloud, machine.slack
            wire.targets = {
                "aws": cloud.endpoint,
                "slack": slack.address,
                "classifier": cloud.api_url,
                "site": machine.site.address,
            }
            slack.address = wire.address("FeedbackFunction", "slack")  # where the response_urls of presses lead
            slack.rate_limit = RateLimit(10_000, 0.0)  # days go by in seconds here
            machine.site.works = generate_works(WORKS, seed=5)
            machine.site.days = [FIRST_WORKS]
            started = Harness(machine, wire, document, dict(settings.time_limits))
            machine.begin_day(1, FIRST_MORNING)
            started.settle()
            yield started
