"""What an owner sees of a fault: alarms, dead letters, and what Slack shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.machine import Machine
from local.slack import as_text


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that reached the owner: names of the template's alarms, counts, and lines of messages."""

    alarms: frozenset[str] = frozenset()
    dead_letters: int = 0
    warnings_at_buttons: int = 0
    lines: tuple[str, ...] = ()

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            self.alarms | other.alarms,
            self.dead_letters + other.dead_letters,
            self.warnings_at_buttons + other.warnings_at_buttons,
            tuple(dict.fromkeys((*self.lines, *other.lines))),
        )

    def __str__(self) -> str:
        return "; ".join(self._parts()) or "nothing"

    def _parts(self) -> Iterator[str]:
        if self.alarms:
            yield f"alarm {', '.join(sorted(self.alarms))}"
        if self.dead_letters:
            yield f"{self.dead_letters} dead letter{'s' if self.dead_letters > 1 else ''}"
        if self.warnings_at_buttons:
            yield f"{self.warnings_at_buttons} × Slack's warning at the button"
        yield from (f"in Slack: {line}" for line in self.lines)


class Watch:
    """Watches what reaches the owner of a machine from now on; `document` is the template, for its alarms."""

    def __init__(self, document: Mapping[str, Any], machine: Machine) -> None:
        self._document, self._machine = document, machine
        self._before = self._counts()

    def _counts(self) -> tuple[int, int, int, int, int]:
        cloud, slack = self._machine.cloud, self._machine.slack
        seen = cloud.api_errors, len(slack.messages), len(slack.failed_presses), len(slack.ephemerals)
        return *seen, waiting_dead_letters(self._machine)

    def seen(self, days_without_summary: int) -> Seen:
        """Return what reached the owner; errors of the API, dead letters and days without a summary set off alarms."""
        cloud, slack = self._machine.cloud, self._machine.slack
        api_errors, messages, failed_presses, ephemerals, dead_letters = self._before
        failed = cloud.api_errors - api_errors
        dead = waiting_dead_letters(self._machine) - dead_letters
        summaries = [as_text(message) for message in slack.messages[messages:] if not message.item_id]
        remarks = [line[line.index("⚠") :] for text in summaries for line in text.splitlines() if "⚠" in line]
        refusals = [as_text(message) for message in slack.ephemerals[ephemerals:]]
        return Seen(
            alarms=frozenset(_alarms(self._document, failed, dead, days_without_summary)),
            dead_letters=dead,
            warnings_at_buttons=len(slack.failed_presses) - failed_presses,
            lines=tuple(dict.fromkeys(line.strip() for line in (*remarks, *refusals))),
        )


def _alarms(
    document: Mapping[str, Any], api_errors: int, dead_letters: int, days_without_summary: int
) -> Iterator[str]:
    for name, resource in document["Resources"].items():
        if resource["Type"] != "AWS::CloudWatch::Alarm":
            continue
        properties = resource["Properties"]
        metric = properties["Metrics"][0]["MetricStat"]["Metric"] if "Metrics" in properties else properties
        match metric["Namespace"], metric["MetricName"]:
            case "AWS/ApiGateway", "5xx":
                rings = api_errors > 0
            case "AWS/SQS", "ApproximateNumberOfMessagesVisible":
                rings = dead_letters > 0
            case "Osusume", "SummariesPosted":
                rings = days_without_summary > 0
            case _:
                rings = False
        if rings:
            yield name


def waiting_dead_letters(machine: Machine) -> int:
    """Return how many messages wait in the dead-letter queue."""
    name = "ApproximateNumberOfMessages"
    queue = machine.cloud.resources["DeadLetters"]
    answer = machine.cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=[name])
    return int(answer["Attributes"][name])
