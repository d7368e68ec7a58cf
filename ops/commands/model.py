"""`python -m ops model`: heads seen, stored, promoted and rolled back."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ops.commands import Commands, add_action, add_stack_options, add_yes_option
from ops.stack import DeployedStack, open_stack
from osusume.errors import UserError
from osusume.heads import NO_ENCODER, Heads, StoredHead, stored_versions
from osusume.items import Item

_EPILOG = """\
A head is what training changes of a model; it fits the one encoder that it was trained with. The classifier uses the
last promoted head for the encoder in its image, and looks for another one every five minutes. Rolling back takes the
last promotion off: the head before it counts again, and before the first one the head in the image.

examples:
  python -m ops model list
  python -m ops model push model/package --yes
  python -m ops model promote package-0123456789ab --yes
  python -m ops model roll-back --yes

exit status: 0, or 1 when it could not be done"""


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "model",
        help="see the stored heads, store one, promote one, roll back",
        description="See the heads that are stored, store one, promote one, roll back.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = add_action(actions, "list", "show the stored heads, the promoted one, and what scores now", _EPILOG)
    listing.set_defaults(run=run_list)
    pushing = add_action(actions, "push", "store the head of a model package", _EPILOG)
    pushing.add_argument("package", type=Path, metavar="PACKAGE_DIR", help="as 'python -m model train' writes it")
    pushing.set_defaults(run=run_push)
    promoting = add_action(actions, "promote", "let a stored head count", _EPILOG)
    promoting.add_argument("version", metavar="VERSION", help="as the list shows it")
    promoting.set_defaults(run=run_promote)
    rolling = add_action(actions, "roll-back", "let the head before count again", _EPILOG)
    rolling.add_argument(
        "--encoder", metavar="SHA256", help="where heads of several are promoted; its beginning is enough"
    )
    rolling.set_defaults(run=run_roll_back)
    for action in (listing, pushing, promoting, rolling):
        if action is not listing:
            add_yes_option(action)
        add_stack_options(action)


def run_list(options: argparse.Namespace) -> None:
    """Print every stored head by its encoder, and ask the classifier which one scores."""
    stack = open_stack(options)
    stored = stored_versions(stack.client("s3"), stack.resource("Bucket"))
    for encoder in dict.fromkeys(version.encoder for version in stored):
        promotions = [promotion.version for promotion in _heads(stack, encoder).promotions()]
        print(f"encoder {encoder[:12]}")
        for version in stored:
            if version.encoder == encoder:
                mark = "promoted" if promotions[-1:] == [version.version] else ""
                mark = mark or ("promoted before" if version.version in promotions else "")
                print(f"  {version.stored_at:%Y-%m-%d %H:%M}  {version.version}  {mark}".rstrip())
    if not stored:
        print("no head is stored: the one in the classifier's image counts")
    print(f"the classifier scores with {_version_in_use(stack)}")


def run_push(options: argparse.Namespace) -> None:
    """Store the head of a package, which is loaded and so checked first. Raises `UserError`."""
    # --help and the other actions work where onnxruntime is not installed
    from model.serving.package import CARD, ENCODER, HEAD, ModelPackage  # noqa: PLC0415

    package = ModelPackage.load(options.package)
    stack = open_stack(options)
    encoder = package.card.files.get(ENCODER, NO_ENCODER)
    what = f"the head {package.version} for encoder {encoder[:12]}"
    if not options.yes:
        print(f"would store {what}: add --yes to do it")
        return
    files = StoredHead((options.package / CARD).read_bytes(), (options.package / HEAD).read_bytes())
    _heads(stack, encoder).store(package.version, files)
    print(f"stored {what}; 'model promote {package.version}' lets it count")


def run_promote(options: argparse.Namespace) -> None:
    """Promote a version. Raises `UserError`, and what `Heads` raises."""
    stack = open_stack(options)
    stored = stored_versions(stack.client("s3"), stack.resource("Bucket"))
    encoders = [version.encoder for version in stored if version.version == options.version]
    if not encoders:
        raise UserError(f"no head {options.version!r} is stored: 'model list' shows those there are")
    if not options.yes:
        print(f"would promote {options.version} for encoder {encoders[0][:12]}: add --yes to do it")
        return
    _heads(stack, encoders[0]).promote(options.version)
    print(f"promoted {options.version}: a classifier with encoder {encoders[0][:12]} uses it within five minutes")


def run_roll_back(options: argparse.Namespace) -> None:
    """Take the last promotion off. Raises `UserError`, and what `Heads` raises."""
    stack = open_stack(options)
    encoder = _promoted_encoder(stack, options.encoder or "")
    heads = _heads(stack, encoder)
    last, *before = reversed(heads.promotions())
    back_to = before[0].version if before else "the head in the classifier's image"
    if not options.yes:
        print(f"would roll back from {last.version} to {back_to}: add --yes to do it")
        return
    heads.roll_back()
    print(f"rolled back from {last.version} to {back_to}: the classifier uses it within five minutes")


def _heads(stack: DeployedStack, encoder: str) -> Heads:
    return Heads(stack.client("s3"), stack.resource("Bucket"), encoder)


def _promoted_encoder(stack: DeployedStack, beginning: str) -> str:
    stored = stored_versions(stack.client("s3"), stack.resource("Bucket"))
    encoders = [
        encoder
        for encoder in dict.fromkeys(version.encoder for version in stored)
        if encoder.startswith(beginning) and _heads(stack, encoder).promotions()
    ]
    if not encoders:
        raise UserError("no head is promoted: the one in the classifier's image counts already")
    if len(encoders) > 1:
        raise UserError(f"heads of several encoders are promoted: name one of {', '.join(encoders)} with --encoder")
    return encoders[0]


def _version_in_use(stack: DeployedStack) -> str:
    """Return the version that the classifier gives when it is asked, or why it gives none."""
    item = Item("-", "-", "https://example.com/", "-")
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": "/predict",
        "requestContext": {"http": {"method": "POST", "path": "/predict"}, "stage": "$default"},
        "body": json.dumps({"items": [item.to_json()]}),
        "isBase64Encoded": False,
    }
    answer = stack.client("lambda").invoke(
        FunctionName=stack.resource("ClassifierFunction"), Payload=json.dumps(event).encode()
    )
    document = json.loads(answer["Payload"].read())
    if "FunctionError" in answer or document.get("statusCode") != 200:
        return f"an error: {document.get('errorMessage') or document.get('body')}"
    return str(json.loads(document["body"])["model_version"])
