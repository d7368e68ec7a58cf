"""Looks at everything that a deployment needs: each line says what is there, or what is missing and what mends it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from samtranslator.yaml_helper import yaml_parse

from model.serving.package import CARD, ModelPackage
from ops.deploying import (
    TOKYO,
    check_name,
    check_parameters,
    leftovers,
    path_of,
    read_answers,
    state_of,
    zone_of,
)
from ops.schedules import next_times
from ops.slack_secrets import PARAMETERS, access_of, name_of, stored_secret
from osusume.errors import UserError

ROOT = Path(__file__).parents[1]
SAM = ROOT / ".venv-sam" / "bin" / "sam"
PACKAGE = ROOT / "model" / "package"
MANIFEST = ROOT / "slack-manifest.yaml"
OLDEST_PYTHON = (3, 11)
_PATIENCE_SECONDS = 60

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that a deployment needs, and its remedy where it is not ok; a note does not keep from deploying."""

    state: State
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.state:9}{self.what}" + (f"\n         -> {self.remedy}" if self.remedy else "")


def _line(is_there: bool, what: str, problem: str, remedy: str) -> Line:
    return Line("ok", what) if is_there else Line("missing", problem, remedy)


def machine_lines(
    python: Sequence[int] = tuple(sys.version_info[:3]), sam: Path = SAM, package: Path = PACKAGE
) -> Iterator[Line]:
    """Yield what this machine has: the interpreter, pip, a container engine, SAM, the model package."""
    version = f"Python {'.'.join(map(str, python))}"
    is_new = tuple(python[:2]) >= OLDEST_PYTHON
    yield _line(is_new, version, f"{version} is too old", "install Python 3.11 or later; make doctor PYTHON=python3.11")
    has_pip = _works("python3", "-m", "pip", "--version")
    yield _line(has_pip, "pip, which builds the layer", "python3 has no pip to build the layer", "python3 -m ensurepip")
    engine, start = "a container engine, which builds the model's image", "start Docker (docs.docker.com/get-docker)"
    yield _line(_works("docker", "info"), engine, "no container engine is running", start)
    yield _line(sam.exists(), "SAM", "SAM is not installed", "make build, which installs it into .venv-sam")
    if not (package / CARD).is_file():
        yield Line("note", "no model package yet: make deploy makes one that reads Japanese, in a few minutes")
        return
    try:
        yield Line("ok", f"the model package {ModelPackage.load(package).version}")
    except UserError as error:
        yield Line("missing", f"the model package cannot be used: {error}", "make model")


def _works(*command: str) -> bool:
    try:
        ran = subprocess.run(command, capture_output=True, timeout=_PATIENCE_SECONDS, check=False)  # noqa: S603  # fixed
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0


def stack_lines(session: boto3.Session, stack: str) -> Iterator[Line]:
    """Yield what the account and the stack have; without credentials the rest cannot be seen."""
    region = str(session.region_name)
    try:
        account = session.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        yield Line("missing", f"no AWS credentials that work: {error}", "aws configure, or --profile")
        return
    yield Line("ok", f"AWS account {account}")
    if region == TOKYO:
        yield Line("ok", f"region {region} (Tokyo)")
    else:
        yield Line("note", f"region {region} is not Tokyo: the shop blocks some works abroad, and is farther away")
    try:
        check_name(stack, region)
        yield Line("ok", f"the name {stack}")
    except UserError as error:
        yield Line("missing", str(error), "make deploy STACK=osusume-dev")
    yield from _answer_lines(stack)
    yield from _state_lines(session, stack)
    answers = read_answers(stack)
    yield from _slack_lines(session, stack, answers.parameters if answers else {})


def _answer_lines(stack: str) -> Iterator[Line]:
    answers = read_answers(stack)
    if not answers:
        yield Line("note", "nothing was answered yet: make deploy asks, once")
        return
    try:
        check_parameters(answers.parameters)
        zone = zone_of(answers.parameters)
        moment = next(next_times(answers.parameters["Schedule"], zone, datetime.now(UTC)))
        yield Line("ok", f"the answers in {path_of(stack)}; the next morning is {moment:%Y-%m-%d %H:%M} {zone}")
    except UserError as error:
        yield Line("missing", str(error), f"make deploy STACK={stack} ASK=1")


def _state_lines(session: boto3.Session, stack: str) -> Iterator[Line]:
    state = state_of(session, stack)
    if state is None and (found := leftovers(session, stack)):
        names = ", ".join(each.name for each in found)
        yield Line("missing", f"an earlier stack left {names}", f"python -m ops adopt --stack {stack} --yes")
    elif state is None:
        yield Line("ok", f"{stack} can be deployed for the first time, nothing is in its way")
    elif state.endswith(("_IN_PROGRESS", "_FAILED")) or state == "ROLLBACK_COMPLETE":
        yield Line("missing", f"{stack} is not complete ({state})", f"python -m ops prepare --stack {stack}")
    else:
        yield Line("ok", f"{stack} is deployed ({state})")


def _slack_lines(session: boto3.Session, stack: str, parameters: Mapping[str, str]) -> Iterator[Line]:
    found = {}
    for secret in PARAMETERS:
        name = name_of(secret, stack, dict(parameters))
        found[secret] = stored_secret(session, name)
        if found[secret]:
            yield Line("ok", f"the secret {name}")
        else:
            yield Line("missing", f"the secret {name} is not stored", f"make secrets STACK={stack}")
    token, channel = found["bot-token"], parameters.get("SlackChannelId")
    if not token or not channel:
        yield Line("note", "what the token may do is looked at once it is stored and the channel is known")
        return
    try:
        access = access_of(token, channel)
    except UserError as error:
        yield Line("missing", str(error), f"python -m ops rotate-secret bot-token --stack {stack} --yes")
        return
    lacking = ", ".join(sorted(needed_scopes() - access.scopes))
    reinstall = "add them in the app's settings under 'OAuth & Permissions', and reinstall it"
    yield _line(not lacking, f"the token of {access.user} has its scopes", f"the token lacks {lacking}", reinstall)
    invite = "check its id, and type /invite @osusume there"
    problem = f"the app is not in the channel {channel}{access.problem and f' ({access.problem})'}"
    yield _line(access.is_member is True, f"the app is in the channel {channel}", problem, invite)


def needed_scopes() -> frozenset[str]:
    """Return the scopes in slack-manifest.yaml."""
    return frozenset(yaml_parse(MANIFEST.read_text("utf-8"))["oauth_config"]["scopes"]["bot"])
