"""Every command in the documents exists as it is written, and is run by a test or named as one that no test can run."""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.__main__ import command_line as faults_line
from faults.__main__ import main as faults
from fuzz.__main__ import command_line as fuzz_line

from desk.__main__ import command_line as desk_line
from local.__main__ import command_line as local_line
from local.shop.__main__ import command_line as shop_line
from model.__main__ import command_line as model_line
from ops.__main__ import command_line as ops_line

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
FOR_OWNERS = ("README.md", "docs/operations.md", "docs/cost.md")
PAGES = sorted({*FOR_OWNERS, *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")), "model/README.md"})
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")

PARSERS: dict[str, Callable[[], argparse.ArgumentParser]] = {
    "desk": desk_line,
    "faults": faults_line,
    "fuzz": fuzz_line,
    "local": local_line,
    "local.shop": shop_line,
    "model": model_line,
    "ops": ops_line,
}

STACKS = "integration/test_cloud_stacks.py"
OPERATIONS = "integration/test_operations.py"
REPLAY = "integration/test_replay.py"
DOCTOR = "integration/test_doctor_and_smoke.py"
RUN_BY = {
    "desk": "unit/test_desk_command.py::test_labels_page_and_undo_survive_a_killed_process",
    "faults": "unit/test_commands_in_documents.py::test_the_faults_are_listed",
    "local cost": "unit/test_cost.py::test_the_command_prints_bills_as_tables_and_as_json",
    "local demo": "integration/test_pipeline.py::test_the_demo_reads_and_posts_on_its_second_day_only_what_is_new",
    "local run": "integration/test_local_run.py::test_each_of_three_days_posts_only_what_is_new_though_runs_are_killed",
    "local scale": "unit/test_scale_command.py::test_the_findings_are_printed_where_they_are_believed",
    "local sizes": "unit/test_built.py::test_the_sizes_are_listed_and_a_problem_ends_in_1",
    "model bench": "unit/test_bench.py::test_a_quick_bench_measures_every_contender",
    "model coverage": "unit/test_weekly_report.py::test_the_command_prints_the_shares",
    "model evaluate": "unit/test_evaluate.py",
    "model export": "unit/test_export.py",
    "model fetch": "unit/test_fetch.py::test_a_fetched_package_reads_texts_and_has_no_taste",
    "model gain": "unit/test_gain.py::test_the_command_prints_a_row_for_each_number_of_labels",
    "model simulate": "unit/test_simulate.py::test_the_command_prints_a_table_or_json_and_draws_a_plot",
    "model starter": "unit/test_starter.py::test_training_with_the_same_seed_gives_the_same_package",
    "model train": "unit/test_train.py",
    "ops adopt": f"{STACKS}::test_a_deleted_stack_is_adopted_with_all_its_labels",
    "ops annotate": "unit/test_desk_stack.py::test_the_command_labels_works_of_a_stack",
    "ops dataset": "unit/test_dataset.py::test_a_stacks_labels_become_a_training_file",
    "ops dead-letters": f"{OPERATIONS}::test_a_dead_letter_says_what_failed_and_why_and_is_gone_once_sent",
    "ops destroy": f"{STACKS}::test_a_destroyed_stack_keeps_its_data_until_its_name_is_typed",
    "ops destroy-data": f"{STACKS}::test_a_destroyed_stack_keeps_its_data_until_its_name_is_typed",
    "ops doctor": f"{DOCTOR}::test_the_doctor_is_content_with_a_stack_that_works",
    "ops forget": f"{REPLAY}::test_a_label_is_forgotten_on_request_and_the_press_that_made_it_stays_away",
    "ops import-labels": "unit/test_label_import.py::test_the_command_finds_the_stack_and_prints_what_it_stored",
    "ops like": f"{REPLAY}::test_names_and_bought_works_that_the_owner_likes_are_stored_and_cleared_on_request",
    "ops model": f"{OPERATIONS}::test_a_head_is_stored_promoted_and_rolled_back",
    "ops prepare": f"{STACKS}::test_a_first_deployment_that_fails_leaves_nothing_and_can_be_tried_again",
    "ops protect": f"{REPLAY}::test_the_tables_are_protected_and_freed_on_request",
    "ops replay": f"{REPLAY}::test_each_of_ten_days_is_replayed_as_it_was_posted",
    "ops report": "integration/test_report_in_slack.py",
    "ops repost": f"{OPERATIONS}::test_messages_that_slack_refused_are_posted_once_on_repost",
    "ops restore-labels": f"{OPERATIONS}::test_lost_labels_are_put_back_and_newer_presses_stay",
    "ops rotate-secret": f"{OPERATIONS}::test_a_new_signing_secret_counts_at_once",
    "ops rules": f"{REPLAY}::test_rules_are_listed_set_and_undone_on_request",
    "ops secrets": f"{DOCTOR}::test_both_secrets_are_stored_once_and_never_shown",
    "ops smoke": f"{DOCTOR}::test_a_deployed_stack_passes_the_smoke_test_which_teaches_it_nothing",
    "ops status": f"{OPERATIONS}::test_the_status_is_what_the_stack_holds",
    "ops train": f"{OPERATIONS}::test_the_trainer_learns_on_request_and_lists_its_decisions",
}
"""By command, the test that runs it, the operations against the local cloud; a file where several of its tests do."""

ONLY_PARSED = {
    "aws lambda": "needs an AWS account",
    "aws logs": "needs an AWS account",
    "make browser": "needs the network and root",
    "make build": "needs the network; what it builds is tested in unit/test_built.py",
    "make deploy": "needs an AWS account; its operations are run by the tests above",
    "make destroy": "needs an AWS account; its operation is run by the test above",
    "make image-test": "needs a container engine; that it says so is tested in unit/test_built.py",
    "make lint": "is the first step of make test",
    "make test": "is this very run",
    "local bench": "measures for minutes, and asserts nothing",
}


@dataclass(frozen=True)
class Command:
    """A command as a page has it; `is_code` says whether it stands in a block of code, to be typed as it is."""

    page: str
    text: str
    is_code: bool

    @property
    def words(self) -> list[str]:
        return shlex.split(re.sub(r"\s*\[-[^\]]*\]", "", self.text), comments=True)

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


STARTS = re.compile(r"(?:\.venv/bin/)?python -m [a-z]|make [a-z]|aws [a-z]")


def commands_of(page: str) -> Iterator[Command]:
    text = (ROOT / page).read_text("utf-8")
    in_block = False
    prose = []
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("```"):
            in_block = not in_block
            continue
        if in_block or line.startswith("  "):
            # a comment may name another command: "# or: make model"
            parts = re.split(r"\s#\s(?:[^:]*: )?", line.strip())
            yield from (Command(page, part.strip(), is_code=True) for part in parts if STARTS.match(part.strip()))
        if not in_block:
            prose.append(line)
    for code in re.findall(r"`([^`]+)`", "\n".join(prose)):
        if STARTS.match(one := " ".join(code.split())):
            yield Command(page, one, is_code=False)


COMMANDS = [command for page in PAGES if (ROOT / page).exists() for command in commands_of(page)]


def key_of(words: list[str]) -> str:
    """Return the name of a command in the two lists above; empty for a program alone."""
    if words[0] in {"make", "aws"}:
        return " ".join(words[:2])
    module, *rest = words[2:]
    if module in {"desk", "faults", "fuzz", "local.shop"}:
        return module
    return f"{module} {rest[0]}" if rest else ""


def made_by(target: str) -> list[list[str]]:
    """Return the programs of ours that a target of the Makefile runs, as words."""
    old = [f"--old-file={name}" for name in (".venv/local", ".venv/test", ".venv/train", ".venv-sam/sam")]
    ran = subprocess.run(  # noqa: S603  # a dry run
        ["make", "--dry-run", *old, target],  # noqa: S607  # the one on the path
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = re.findall(r"python -m (?:ops|local|model|faults|fuzz)\b[^\n;|]*", ran.stdout.replace("\\\n", ""))
    return [shlex.split(line) for line in lines]


def parse(words: list[str]) -> None:
    """Parse a command of ours; raises `SystemExit` for one that does not exist so."""
    PARSERS[words[2]]().parse_args(words[3:])


def knows_names(words: list[str]) -> bool:
    """Return whether the command and the options that a text mentions exist, though it may leave out arguments."""
    parser = PARSERS[words[2]]()
    choices = next((a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction)), {})
    if choices and len(words) > 3:
        if words[3] not in choices:
            return False
        parser = choices[words[3]]
    return all(word in parser._option_string_actions for word in words[3:] if word.startswith("--"))


def test_the_pages_are_read() -> None:
    pages = {command.page for command in COMMANDS}
    assert pages >= {"README.md", "docs/architecture.md", "docs/learning.md", "docs/operations.md", "model/README.md"}
    assert len(COMMANDS) > 100


@pytest.mark.parametrize("command", [c for c in COMMANDS if "python" in c.text.split()[0]], ids=str)
def test_a_command_of_the_documents_exists_as_it_is_written(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.words
    if not command.is_code and command.page not in FOR_OWNERS:
        assert knows_names(words)
    elif len(words) > 3 or words[2] in {"desk", "faults", "local.shop"}:
        try:
            parse(words)
        except SystemExit:
            pytest.fail(f"{command}: {capsys.readouterr().err}")


def test_a_target_of_the_documents_exists_with_its_variables() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    for command in COMMANDS:
        if command.text.startswith("make "):
            target, *settings = command.words[1:]
            assert target in targets, command
            assert all(f"$({name.partition('=')[0]})" in MAKEFILE for name in settings if "=" in name), command


def test_a_command_of_the_documents_is_run_by_a_test_or_is_named_as_one_that_none_can_run() -> None:
    used = {key_of(command.words) for command in COMMANDS} - {"", "make help"}
    for target in sorted(each for each in used if each.startswith("make ") and each not in ONLY_PARSED):
        used.remove(target)
        programs = made_by(target.removeprefix("make "))
        for program in programs:
            parse(program)
            used.add(key_of(program))
        assert programs or target == "make mutations", f"{target} runs nothing of ours"
    assert used - RUN_BY.keys() - ONLY_PARSED.keys() == set(), "name the test that runs it, or why none can"
    assert (RUN_BY.keys() | ONLY_PARSED.keys()) - used == set(), "no page has these any more"


@pytest.mark.parametrize(("command", "test"), RUN_BY.items())
def test_the_test_that_is_named_for_a_command_exists_and_names_the_command(command: str, test: str) -> None:
    file, _, function = test.partition("::")
    text = (TESTS / file).read_text("utf-8")
    assert f"def {function}" in text
    word = command.rsplit(maxsplit=1)[-1]
    assert f'"{word}"' in text or f"{word}.__main__ import main" in text


def test_the_faults_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert faults(["--list"]) == 0
    assert "crash-crawler" in capsys.readouterr().out
