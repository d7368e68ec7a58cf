"""`python -m local run`: the main job on the live site, with the stand-in's page as the channel.

What a run reads, stores and posts is kept in a folder, from which the next run continues.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlsplit
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from crawler.fetcher import user_agent
from crawler.progress import Crawls, pages_among
from crawler.sources.feed_address import is_on_this_machine
from crawler.sources.registry import open_source
from local.cloud.dispatch import Invocation
from local.cloud.errors import StillBusy, TemplateError
from local.cloud.state import State, StateError, open_state, private_files
from local.machine import CHANNEL, NIGHT_SCHEDULE, PACKAGE, SCHEDULE, STARTER, Deployment, deployment
from model.dataset import merge, write_examples
from model.label_import import GivenLabel, import_labels, read_labels
from model.serving.package import CARD, ModelPackage
from model.stored_labels import read_tables
from osusume.errors import UserError
from osusume.settings import InvalidSetting
from osusume.wishes import WishStore
from web.browser import open_in_browser

TIME_ZONE = ZoneInfo("Asia/Tokyo")
LABELS_FILE = "labels.jsonl"
_LONGEST_NIGHT = 900.0
"""Seconds: the trainer's time limit."""
TICK_SECONDS = 0.5
CONTACT_OF_A_TRIAL = "trial@example.com"
_SPEED_SECONDS = 120.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

_PLAIN_WORDS = {
    "Challenged": "the site takes the crawler for a burst and asks for a pause: try again in some hours",
    "Disallowed": "the site's robots.txt forbids it",
    "Forbidden": "the site refuses, perhaps this network or this region",
    "SlowDown": "the site asks to slow down: try again in half an hour",
    "NotFound": "the site does not show this floor here, perhaps because of the region",
    "TimedOut": "the site does not answer in time",
    "Unavailable": "the site cannot be reached: check the network, or it may be in maintenance",
    "BadCrawl": "too little could be read to make a snapshot of it",
}
"""Explanations of the crawler's errors for the terminal; the error's message follows."""


class RunFailed(Exception):
    """Raised when the crawl or a function failed; the message says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a run.

    Without a `site_address` it reads the real site, which requires a `contact`; the source `feed` reads `urls`, on this
    machine or in the web. Without a `model` it uses that of `make model`, and the starter until that is made.
    """

    source: str
    limit: int
    floor: str
    folder: Path
    site_address: str | None = None
    contact: str | None = None
    import_file: Path | None = None
    model: Path | None = None
    like: Sequence[str] = ()
    urls: Sequence[str] = ()
    serve: bool = True


def run_once(options: Options, console: Console) -> None:
    """Finish what an earlier run left, crawl, post new works, report, and serve the channel if `options.serve`.

    Ctrl-C ends serving; before that it raises KeyboardInterrupt. Raises `UserError` and `RunFailed`.
    """
    parameters = _parameters(options)
    given = _given_labels(options)
    model = options.model or default_model()
    if options.model is None and model == STARTER:
        console.print("The model does not read Japanese yet: `make model` makes one that does, in a few minutes.")
    with ExitStack() as stack:
        stack.enter_context(private_files())
        try:
            with console.status("starting the cloud and the channel"):
                state = stack.enter_context(open_state(options.folder))
                _remember_site(state, options)
                deployed = stack.enter_context(
                    deployment(
                        _trial_address(options),
                        parameters=parameters,
                        model=model,
                        state=state,
                        state_dir=options.folder / "logs",
                        edit=_leave_a_failed_crawl_alone,
                    )
                )
        except (StateError, TemplateError) as error:
            raise UserError(_in_options(str(error))) from error
        page = deployed.slack.page_address
        console.print(Text(f"The channel: {page}"), soft_wrap=True)
        run = _Run(deployed, state, options, console)
        if given:
            run.bring(given)
        if options.like:
            run.like(options.like)
        # what is left to tell of a press leads to the Slack of a process that is gone
        if deployed.cloud.deliver_unfinished(forget={"FeedbackFunction"}):
            console.print("Resuming where the last run ended.")
            run.wait()
            run.check()
        run.learn()
        deployed.cloud.fire_schedule(SCHEDULE)
        run.wait()
        run.check()
        console.print(Text(run.account()))
        console.print(Text(f"Kept in {options.folder}: run it again tomorrow, and only what is new is posted."))
        if options.serve:
            open_in_browser(page)
            console.print(Text(f"The channel, with working buttons: {page}\nCtrl-C ends it."), soft_wrap=True)
            run.serve()


def default_model(package: Path = PACKAGE) -> Path:
    """Return the package that `make model` made, the starter until then."""
    return package if (package / CARD).is_file() else STARTER


def _parameters(options: Options) -> dict[str, str]:
    """Return the template's parameters. Raises `UserError`, which names the command line's options."""
    site_address = _trial_address(options)
    if bool(options.urls) != (options.source == "feed"):
        raise UserError("--url names a feed to read: give it with --source feed, and only then")
    if site_address is None and not options.contact:
        raise UserError(
            "a real site is read only by name: give your e-mail or web address with --contact; the crawler sends it"
            " in its User-Agent, so that the site's operators can reach you"
        )
    if site_address is not None and urlsplit(site_address).hostname not in _LOOPBACK:
        raise UserError(
            f"--site-address {site_address} must be on this machine, such as http://127.0.0.1:8080:"
            " leave it out to read the real site"
        )
    contact = options.contact or CONTACT_OF_A_TRIAL
    try:
        user_agent(contact)
        open_source(
            options.source,
            {"FLOOR": options.floor, "FEEDS": " ".join(options.urls), "SITE_ADDRESS": site_address or ""},
        )
    except (ValueError, InvalidSetting) as error:
        raise UserError(str(error)) from error
    return {
        "Contact": contact,
        "Source": options.source,
        "Floor": options.floor,
        "Feeds": " ".join(options.urls),
        "ItemLimit": str(options.limit),
        "MadeUpTaste": "ignore",
        "SlackChannelId": CHANNEL,
        "TimeZone": TIME_ZONE.key,
    }


def _trial_address(options: Options) -> str | None:
    """Return the address of a stand-in on this machine, None if the run reads the web.

    Raises `UserError` for feeds of both: a trial's works must not mix with real ones.
    """
    on_this_machine = [url for url in options.urls if is_on_this_machine(url)]
    if on_this_machine and len(on_this_machine) < len(options.urls):
        raise UserError(f"--url {on_this_machine[0]} is on this machine and others are not: read them in two folders")
    if on_this_machine:
        server = urlsplit(on_this_machine[0])
        return f"{server.scheme}://{server.netloc}"
    return options.site_address


def _in_options(text: str) -> str:
    for parameter, option in (("Contact", "--contact"), ("Floor", "--floor"), ("ItemLimit", "--limit")):
        text = text.replace(f"parameter {parameter} ", f"{option} ")
    return text


def _given_labels(options: Options) -> list[GivenLabel]:
    if options.model:
        ModelPackage.load(options.model)
    return read_labels(options.import_file, TIME_ZONE) if options.import_file else []


def _remember_site(state: State, options: Options) -> None:
    """Refuse a folder of another site: a trial's made-up works must not mix with real ones."""
    site = b"real" if _trial_address(options) is None else b"trial"
    before = state.all("site").get(options.source, site)
    if before != site:
        told = "with the real site" if before == b"real" else "with a stand-in on this machine"
        raise UserError(f"{options.folder} was begun {told}: name another --folder")
    state.put("site", options.source, site)


def _leave_a_failed_crawl_alone(template: dict[str, Any]) -> None:
    """Turn off retries of a failed crawl: the user reads the reason, and starts another run when it makes sense."""
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        is_crawlers = properties.get("FunctionName") == {"Ref": "CrawlerFunction"}
        if resource["Type"] == "AWS::Lambda::EventInvokeConfig" and is_crawlers:
            properties["MaximumRetryAttempts"] = 0


class _Run:
    """One run, counted from the state of the stores when it begins."""

    def __init__(self, deployed: Deployment, state: State, options: Options, console: Console) -> None:
        self._deployed = deployed
        self._state = state
        self._source = options.source
        self._labels_file = options.folder / LABELS_FILE
        self._console = console
        resources = deployed.cloud.resources
        self._crawls = Crawls(deployed.cloud.client("s3"), resources["Bucket"], self._source)
        self._pages_before = self._pages()
        self._posts_before = self._posts()
        self._presses = -1

    def bring(self, given: list[GivenLabel]) -> None:
        """Import labels from a file into the stores, and print how many."""
        imported = import_labels(
            given, self._deployed.labels, self._deployed.ledger, time_zone=TIME_ZONE, now=time.time()
        )
        self._console.print(
            f"Imported {imported.stored} labels ({imported.kept} were there as late or later),"
            f" {imported.new_items} works new to the ledger."
        )

    def like(self, names: Sequence[str]) -> None:
        """Store names that the owner likes, for as long as nothing is learnt. Raises `UserError`."""
        store = WishStore(self._deployed.cloud.dynamodb(), self._deployed.cloud.resources["ItemsTable"])
        before = store.read()
        after = before.with_names(names)
        store.replace(before, after)
        self._console.print(Text(f"Guessing by: {', '.join(after.names)}"))

    def wait(self) -> None:
        """Wait until nothing is running, and show a progress bar meanwhile."""
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(
            *columns,
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
            speed_estimate_period=_SPEED_SECONDS,
        ) as progress:
            bar = progress.add_task("reading the listing", total=None)
            while True:
                try:
                    self._deployed.cloud.wait_until_idle(TICK_SECONDS)
                except StillBusy:
                    self._show(progress, bar)
                    self._write_labels()
                else:
                    self._write_labels()
                    return

    def _show(self, progress: Progress, bar: TaskID) -> None:
        crawl = self._crawls.current()
        unread = {listed.item_id for listed in crawl.listed} - self._pages_before if crawl else set()
        if crawl is None or not unread:
            return
        read = unread & self._pages()
        what = "reading pages" if crawl.holder else "scoring and posting"
        progress.update(bar, description=what, completed=len(read), total=len(unread))

    def learn(self) -> None:
        """Let the trainer learn from the presses, if there are any, and print what it decided."""
        if next(self._deployed.labels.all(), None) is None:
            return
        before = self._deployed.ledger.last_decision()
        with self._console.status("learning from the presses"):
            self._deployed.cloud.fire_schedule(NIGHT_SCHEDULE)
            self._deployed.cloud.wait_until_idle(_LONGEST_NIGHT)
        decision = self._deployed.ledger.last_decision()
        if decision and decision != before:
            self._console.print(Text(decision.sentence), soft_wrap=True)

    def check(self) -> None:
        """Raise `RunFailed` if a function failed in its last attempt, or an earlier crawl blocks this one."""
        last = {each.request_id: each for each in self._deployed.cloud.invocations if each.trigger != "http"}
        reasons = [_reason(each) for each in last.values() if each.error]
        if any(each.response == {"status": "under_way"} for each in last.values()):
            reasons.append(
                "an earlier crawl was interrupted and blocks this one until its time limit: try again in 15 minutes"
            )
        reasons += self._deployed.cloud.delivery_errors
        if reasons:
            raise RunFailed("\n".join(reasons) + "\nWhat was read is kept: the next run resumes there.")

    def account(self) -> str:
        """Return a short report of this run."""
        keys = {
            unquote_plus(record["s3"]["object"]["key"])
            for each in self._deployed.cloud.invocations
            if each.function == "NotifierFunction"
            for record in each.event["Records"]
        }
        runs = self._deployed.ledger.runs(keys).values()
        read = len(self._pages() - self._pages_before)
        new = sum(run.new for run in runs)
        failed = sum(run.failed for run in runs)
        lines = [
            f"{read} pages read, {new} new works, {self._posts() - self._posts_before} posted"
            f" ({sum(run.recommended for run in runs)} recommended, {sum(run.explored for run in runs)} to learn from)."
        ]
        if failed:
            lines.append(f"{failed} pages could not be read; the next run retries them.")
        if any(not run.has_taste for run in runs):
            lines.append("No taste is learnt yet: random works are posted for you to judge.")
        return "\n".join(lines)

    def serve(self) -> None:
        """Keep the labels file up to date until Ctrl-C."""
        try:
            while True:
                self._write_labels()
                time.sleep(TICK_SECONDS)
        except KeyboardInterrupt:
            self._write_labels()

    def _pages(self) -> set[str]:
        # listing a bucket with years of pages takes seconds; the state's keys are fast
        return pages_among(self._state.keys("Bucket"), self._source)

    def _posts(self) -> int:
        return sum(message.item_id is not None for message in self._deployed.slack.messages)

    def _write_labels(self) -> None:
        """Write the labels as a training file, if there are any and a press may have changed them."""
        presses = sum(each.function == "FeedbackFunction" for each in self._deployed.cloud.invocations)
        if presses == self._presses:
            return
        learnt = read_tables(self._deployed.labels.all(), self._deployed.ledger, {}, lambda _share: None, TIME_ZONE)
        if learnt.examples:
            try:
                write_examples(self._labels_file, merge({"": learnt.examples}).examples)
            except UserError as error:
                raise RunFailed(str(error)) from error
        self._presses = presses


def _reason(invocation: Invocation) -> str:
    error = invocation.error or {}
    message = str(error.get("errorMessage", ""))
    if invocation.function == "CrawlerFunction":
        plain = _PLAIN_WORDS.get(str(error.get("errorType")))
        return f"the crawl failed: {plain} ({message})" if plain else f"the crawl failed: {message}"
    return f"{invocation.function} failed: {message}"
