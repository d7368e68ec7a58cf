"""Transforms a SAM template and parameters into the CloudFormation template that the local cloud deploys.

The transform is CloudFormation's own (aws-sam-translator). Parameters are checked here, because moto accepts any value.
"""

from __future__ import annotations

import copy
import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from local.cloud import boto_speed  # noqa: F401  # it changes botocore
from local.cloud.errors import TemplateError

ARTIFACT_BUCKET = "local-artifacts"
"""The stand-in for the bucket to which `sam deploy` uploads code."""


@dataclass(frozen=True, slots=True)
class Template:
    """A template ready to be deployed.

    `document` is plain CloudFormation, `parameters` holds a value for each of its parameters. `search_paths` maps each
    function's logical id to the folders of its code, which replace the built packages.
    """

    document: dict[str, Any]
    parameters: dict[str, str]
    search_paths: dict[str, list[Path]]


def load_template(path: Path, parameters: Mapping[str, str], region: str) -> Template:
    """Return the template at `path`, transformed with `parameters`; the caller may modify it.

    Raises TemplateError if a parameter is unknown, missing or not allowed, or SAM rejects the template.
    """
    root = path.resolve().parent
    document, values, search_paths = _transformed(path.read_text("utf-8"), tuple(sorted(parameters.items())), region)
    return Template(
        document=copy.deepcopy(document),
        parameters=dict(values),
        search_paths={name: [root / folder for folder in folders] for name, folders in search_paths.items()},
    )


@functools.lru_cache(maxsize=32)
def _transformed(
    text: str, given: tuple[tuple[str, str], ...], region: str
) -> tuple[dict[str, Any], dict[str, str], dict[str, list[str]]]:
    document = yaml_parse(text)
    values = parameter_values(document.get("Parameters", {}), dict(given))
    search_paths = _search_paths(document)
    _point_at_artifacts(document)
    # without a session the translator reads the region from the caller's environment
    translator = Translator({}, Parser(), boto_session=isolated_session(region))
    try:
        transformed: dict[str, Any] = translator.translate(document, dict(values))
    except InvalidDocumentException as error:
        causes = "; ".join(cause.message for cause in error.causes)
        raise TemplateError(f"the template is not valid SAM: {causes}") from error
    transformed.pop("Transform", None)
    return transformed, values, search_paths


def isolated_session(region: str) -> boto3.Session:
    """Return a boto3 session that ignores the user's profiles and settings."""
    nowhere = (None, None, os.devnull, None)
    variables = {"profile": (None, None, None, None), "config_file": nowhere, "credentials_file": nowhere}
    return boto3.Session(botocore_session=botocore.session.Session(session_vars=variables), region_name=region)


def parameter_values(definitions: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Return the given or default value of each parameter in `definitions`, checked as CloudFormation does.

    >>> parameter_values({"Day": {"Type": "Number", "Default": 3, "MinValue": 1}}, {})
    {'Day': '3'}
    """
    if unknown := sorted(set(given) - set(definitions)):
        raise TemplateError(f"the template has no parameter {', '.join(unknown)}")
    values = {}
    for name, definition in definitions.items():
        if name in given:
            value = str(given[name])
        elif "Default" in definition:
            value = _text(definition["Default"])
        else:
            raise TemplateError(f"parameter {name} has no default: give it a value ({_purpose(definition)})")
        if problem := _problem(definition, value):
            remedy = definition.get("ConstraintDescription", problem)
            raise TemplateError(f"parameter {name} must be {remedy}, not {value!r}")
        is_list = definition["Type"] == "CommaDelimitedList" or definition["Type"].startswith("List<")
        values[name] = ",".join(part.strip() for part in value.split(",")) if is_list else value
    return values


def _purpose(definition: Mapping[str, Any]) -> str:
    return str(definition.get("Description", definition["Type"]))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problem(definition: Mapping[str, Any], value: str) -> str | None:
    """Return the requirement that `value` violates, or None if it is allowed."""
    is_list = definition["Type"] == "CommaDelimitedList"
    allowed = [_text(choice) for choice in definition.get("AllowedValues", [])]
    pattern = definition.get("AllowedPattern")
    problem = None
    if allowed and any(part.strip() not in allowed for part in (value.split(",") if is_list else [value])):
        problem = f"one of {', '.join(allowed)}"
    elif pattern is not None and not all(
        re.fullmatch(pattern, part.strip()) for part in (value.split(",") if is_list else [value])
    ):
        problem = f"a match of {pattern}"
    elif definition["Type"] == "Number":
        problem = _number_problem(definition, value)
    elif not is_list and len(value) < int(definition.get("MinLength", 0)):
        problem = f"at least {definition['MinLength']} characters long"
    elif "MaxLength" in definition and len(value) > int(definition["MaxLength"]):
        problem = f"at most {definition['MaxLength']} characters long"
    return problem


def _number_problem(definition: Mapping[str, Any], value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        return "a number"
    if number < float(definition.get("MinValue", "-inf")):
        return f"at least {definition['MinValue']}"
    if number > float(definition.get("MaxValue", "inf")):
        return f"at most {definition['MaxValue']}"
    return None


def _search_paths(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the folders that each function's package would contain, relative to the template.

    A zip function contains its own code and its layers. An image may copy anything from its build context.
    """
    resources = document["Resources"]
    shared = document.get("Globals", {}).get("Function", {})
    layers = {
        name: str(resource["Properties"]["ContentUri"])
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::LayerVersion"
    }
    functions = {
        name: {**shared, **resource.get("Properties", {})}
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    zipped = {name: properties for name, properties in functions.items() if properties.get("PackageType") != "Image"}
    paths: dict[str, list[str]] = {}
    for name, properties in zipped.items():
        attached = [*shared.get("Layers", []), *resources[name]["Properties"].get("Layers", [])]
        names = [layer["Ref"] for layer in attached if isinstance(layer, Mapping) and "Ref" in layer]
        paths[name] = [str(properties.get("CodeUri", ".")), *(layers[ref] for ref in dict.fromkeys(names))]
    everything = [str(properties.get("CodeUri", ".")) for properties in zipped.values()] + list(layers.values())
    for name in functions.keys() - zipped.keys():
        context = str(resources[name].get("Metadata", {}).get("DockerContext", "."))
        paths[name] = [*dict.fromkeys(everything), context]
    return paths


def _point_at_artifacts(document: dict[str, Any]) -> None:
    """Set the code's addresses as `sam package` does: the translator accepts no local folders."""
    for name, resource in document["Resources"].items():
        properties = resource.setdefault("Properties", {})
        artifact = {"Bucket": ARTIFACT_BUCKET, "Key": f"{name}.zip"}
        if resource["Type"] == "AWS::Serverless::LayerVersion":
            properties["ContentUri"] = artifact
        elif resource["Type"] == "AWS::Serverless::Function" and properties.get("PackageType") == "Image":
            properties["ImageUri"] = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/{name.lower()}:local"
        elif resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = artifact
