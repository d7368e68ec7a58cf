"""`python -m model export`: makes a model package of a Hugging Face sequence classifier."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from model.commands import Commands, positive, print_card


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "export",
        help="make a package of a trained Hugging Face classifier",
        description="Make a model package of a sequence classifier of two labels that transformers has saved (BERT, "
        "DistilBERT, RoBERTa, DeBERTa, ModernBERT) with a fast tokenizer. The package scores as the checkpoint does; "
        "how far int8 moves its scores is measured, printed and written to the card.",
        epilog="example: python -m model export --checkpoint trained --output model/package --data labels.jsonl",
    )
    parser.add_argument(
        "--checkpoint", type=Path, required=True, metavar="DIR", help="folder that save_pretrained wrote"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder for the package")
    parser.add_argument(
        "--data", type=Path, metavar="FILE", help="training file to measure accuracy on; without it, made-up works"
    )
    parser.add_argument("--fp32", action="store_true", help="do not quantize: four times the size, slower")
    parser.add_argument("--force", action="store_true", help="write the package even if its accuracy on --data is low")
    parser.add_argument(
        "--positive-label", metavar="NAME", help="the label that means interest, if the names leave it open"
    )
    parser.add_argument(
        "--max-tokens", type=positive, metavar="N", help="cut texts here (512, or less if the checkpoint takes less)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Export, and print what was measured."""
    from rich.console import Console  # noqa: PLC0415  # --help needs neither this nor torch

    console = Console(stderr=True)
    with console.status("loading torch"):
        from transformers.utils import logging as transformers_logging  # noqa: PLC0415

        from model.dataset import read_examples  # noqa: PLC0415
        from model.export_package import export_package  # noqa: PLC0415
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    examples = read_examples(options.data) if options.data else []
    with console.status(f"exporting {options.checkpoint}"):
        card = export_package(
            options.checkpoint,
            options.output,
            today=datetime.now(UTC).date(),
            examples=examples,
            max_tokens=options.max_tokens,
            int8=not options.fp32,
            force=options.force,
            positive_label=options.positive_label,
        )
    print_card(options.output, card)
