"""`python -m ops model`: list, store, promote and roll back heads."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ops.commands import Commands, add_command, add_group
from ops.stack import DeployedStack, open_stack
from osusume.errors import UserError
from osusume.heads import NO_ENCODER, Heads, StoredHead, stored_versions
from osusume.items import Item

_EPILOG = """\
A head is the part of a model that training changes; it fits only the encoder that it was trained with. The classifier
uses the last promoted head for the encoder in its image, and looks for a new one every five minutes. Rolling back
removes the last promotion: the previous head becomes active, or, without one, the head in the image.

examples:
  python -m ops model list
  python -m ops model push model/package --yes
  python -m ops model promote package-0123456789ab --yes
  python -m ops model roll-back --yes

exit status: 0, or 1 if it could not be done"""


def add(commands: Commands) -> None:
    """Add the command."""
    actions = add_group(commands, "model", "list, store, promote and roll back heads", _EPILOG)
    what = "show the stored heads, the promoted one, and the one in use"
    add_command(actions, "list", run_list, what, _EPILOG)
    pushing = add_command(actions, "push", run_push, "store the head of a model package", _EPILOG, asks=True)
    pushing.add_argument("package", type=Path, metavar="PACKAGE_DIR", help="as 'python -m model train' writes it")
    promoting = add_command(actions, "promote", run_promote, "make a stored head active", _EPILOG, asks=True)
    promoting.add_argument("version", metavar="VERSION", help="as the list shows it")
    rolling = add_command(actions, "roll-back", run_roll_back, "make the previous head active", _EPILOG, asks=True)
    rolling.add_argument(
        "--encoder", metavar="SHA256", help="the start of its hash, if heads of several encoders are promoted"
    )


def run_list(options: argparse.Namespace) -> None:
    """Print the stored heads of each encoder, and the version that the classifier uses."""
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
        print("no head is stored: the one in the classifier's image is in use")
    print(f"the classifier scores with {version_in_use(stack)}")


def run_push(options: argparse.Namespace) -> None:
    """Store the head of a package, which is loaded first to check it. Raises `UserError`."""
    # --help and the other actions must work without onnxruntime
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
    print(f"stored {what}; 'model promote {package.version}' makes it active")


def run_promote(options: argparse.Namespace) -> None:
    """Promote a version. Raises `UserError`, and what `Heads` raises."""
    stack = open_stack(options)
    stored = stored_versions(stack.client("s3"), stack.resource("Bucket"))
    encoders = [version.encoder for version in stored if version.version == options.version]
    if not encoders:
        raise UserError(f"no head {options.version!r} is stored: 'model list' shows the stored ones")
    if not options.yes:
        print(f"would promote {options.version} for encoder {encoders[0][:12]}: add --yes to do it")
        return
    _heads(stack, encoders[0]).promote(options.version)
    print(f"promoted {options.version}: a classifier with encoder {encoders[0][:12]} uses it within five minutes")


def run_roll_back(options: argparse.Namespace) -> None:
    """Remove the last promotion. Raises `UserError`, and what `Heads` raises."""
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
        raise UserError("no head is promoted: the one in the classifier's image is in use already")
    if len(encoders) > 1:
        raise UserError(f"heads of several encoders are promoted: name one of {', '.join(encoders)} with --encoder")
    return encoders[0]


def version_in_use(stack: DeployedStack) -> str:
    """Return the version that the classifier uses, or its error."""
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
