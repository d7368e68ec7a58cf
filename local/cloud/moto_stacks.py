"""CloudFormation's stacks as AWS documents them: rollback, kept resources, names, change sets, imports, updates.

moto creates resources in the right order, but forgets the rest. Importing this module changes moto for the process.
Not simulated: the rollback of an update, imports into an existing stack, a stack's own role and policy.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import moto.cloudformation.parsing as moto_parsing
from moto.awslambda.models import LayerVersion
from moto.awslambda.utils import get_backend as lambda_backend
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.models import ChangeSet, CloudFormationBackend, Stack
from moto.cloudformation.parsing import ResourceMap, clean_json, parse_resource_and_generate_name
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.responses import ActionResult
from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import Role
from moto.logs.models import LogGroup, logs_backends
from moto.s3.models import s3_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from samtranslator.yaml_helper import yaml_parse

from local.cloud.access import REGION
from local.cloud.errors import TemplateError
from local.cloud.moto_properties import completions
from local.cloud.template import parameter_values

Json = dict[str, Any]

_KEPT_WHEN_DELETED = {"Retain", "RetainExceptOnCreate"}
_ROLLED_BACK = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}

_NAMES: Mapping[str, tuple[str, Callable[[str, str], Collection[str]]]] = {
    "AWS::S3::Bucket": ("BucketName", lambda account, _: s3_backends[account]["aws"].buckets),
    "AWS::DynamoDB::Table": ("TableName", lambda account, region: dynamodb_backends[account][region].tables),
    "AWS::Lambda::Function": (
        "FunctionName",
        lambda account, region: {each.function_name for each in lambda_backend(account, region).list_functions()},
    ),
    "AWS::Logs::LogGroup": ("LogGroupName", lambda account, region: logs_backends[account][region].groups),
    "AWS::SQS::Queue": ("QueueName", lambda account, region: sqs_backends[account][region].queues),
    "AWS::SNS::Topic": (
        "TopicName",
        lambda account, region: {topic.name for topic in sns_backends[account][region].topics.values()},
    ),
}
"""The property that names a resource, and the names that are taken; moto shares some resources among stacks instead."""

_IMPORTED: Mapping[str, Callable[[str, str, str], Any]] = {
    "AWS::S3::Bucket": lambda name, account, _: s3_backends[account]["aws"].buckets.get(name),
    "AWS::DynamoDB::Table": lambda name, account, region: dynamodb_backends[account][region].tables.get(name),
}
"""How an existing resource is found that is to be imported."""


def failure_of(stack: Stack) -> str:
    """Return why a stack was rolled back."""
    return next((str(e.resource_status_reason) for e in stack.events if e.resource_status == "CREATE_FAILED"), "")


def _parse(text: str) -> Json:
    # moto takes seconds, because it reads JSON as YAML
    document: Json = json.loads(text) if text.lstrip().startswith("{") else yaml_parse(text)
    return document


def _parse_change_set(change_set: ChangeSet) -> None:
    change_set.template_dict = _parse(change_set.template)


# ---- creation and deletion ----


def _create_resource(
    logical_id: str, definition: Json, resources: ResourceMap, account_id: str, region_name: str
) -> Any:
    condition = definition.get("Condition")
    if not condition or resources.lazy_condition_map[condition]:
        _refuse_a_taken_name(logical_id, definition, resources, account_id, region_name)
        _properties_of(resources)[logical_id] = _resolved(resources, definition)
    return _moto_creates(logical_id, definition, resources, account_id, region_name)


def _refuse_a_taken_name(logical_id: str, definition: Json, resources: ResourceMap, account: str, region: str) -> None:
    if definition["Type"] in _NAMES:
        _, resolved, _ = parse_resource_and_generate_name(logical_id, copy.deepcopy(definition), resources)
        attribute, taken = _NAMES[definition["Type"]]
        name = resolved["Properties"].get(attribute)
        if name in taken(account, region):
            raise ValidationError(message=f"{logical_id}: {name} already exists")


def _create(stack: Stack) -> None:
    """Create a stack's resources, or none: what was made is deleted again, but for what is to be retained."""
    stack.status = "CREATE_IN_PROGRESS"
    try:
        stack.resource_map.create(stack.template_dict)
    except Exception as error:  # noqa: BLE001  # whatever fails is rolled back
        stack._add_stack_event("CREATE_FAILED", resource_status_reason=str(getattr(error, "message", None) or error))
        _delete_resources(stack.resource_map, {"Retain"})
        stack.resource_map._resource_json_map = {}  # otherwise a look at the stack would create them
        stack.template_dict = {**stack.template_dict, "Resources": {}, "Outputs": {}}
        stack.output_map = stack._create_output_map()
        stack.status = "ROLLBACK_COMPLETE"
        stack._add_stack_event("ROLLBACK_COMPLETE")
    else:
        stack.description = stack.template_dict.get("Description")
        stack.mark_creation_complete()


def _delete_resources(resources: ResourceMap, kept: Collection[str] = _KEPT_WHEN_DELETED) -> None:
    """Delete the resources of a stack, the last one first, but for those whose DeletionPolicy is in `kept`."""
    for logical_id in reversed(list(resources._parsed_resources)):
        definition = resources._resource_json_map.get(logical_id)
        if definition and definition.get("DeletionPolicy", "Delete") not in kept:
            _delete_resource(resources, logical_id, definition)


def _delete_resource(resources: ResourceMap, logical_id: str, definition: Json) -> None:
    model = resources._parsed_resources.pop(logical_id)
    _properties_of(resources).pop(logical_id, None)
    if isinstance(model, LayerVersion):
        lambda_backend(resources._account_id, resources._region_name).delete_layer_version(
            model.name, str(model.version)
        )
    elif model is not None and definition["Type"] != "AWS::Lambda::Permission":  # goes with its function
        resources._delete_resource(model, definition)


def _delete_stack(backend: CloudFormationBackend, name_or_stack_id: str) -> None:
    stack = next((s for s in backend.stacks.values() if name_or_stack_id in {s.name, s.stack_id}), None)
    if stack and stack.enable_termination_protection:
        raise ValidationError(message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
    _moto_deletes_stack(backend, name_or_stack_id)


def _update_termination_protection(response: CloudFormationResponse) -> Any:
    stack = response.cloudformation_backend.get_stack(response._get_param("StackName"))
    stack.enable_termination_protection = response._get_bool_param("EnableTerminationProtection")
    return ActionResult({"StackId": stack.stack_id})


# ---- updates ----


def _update(stack: Stack, template: str, parameters: Mapping[str, Any]) -> None:
    """Make the stack's resources those of the template: only what differs is touched, in place where AWS does so."""
    resources, before = stack.resource_map, stack.resource_map._resource_json_map
    stack.template = template
    stack._parse_template()
    stack.parameters = resources.input_parameters = dict(parameters)
    resources._template = stack.template_dict
    resources._resource_json_map = stack.template_dict["Resources"]
    resources.load()
    changed = 1
    while changed:  # a replaced resource changes those that refer to it
        changed = sum(_brought_up_to_date(resources, logical_id) for logical_id in list(_wanted(resources)))
    gone = [each for each in before if each in resources._parsed_resources and each not in set(_wanted(resources))]
    for logical_id in reversed(gone):
        if before[logical_id].get("DeletionPolicy", "Delete") not in _KEPT_WHEN_DELETED:
            _delete_resource(resources, logical_id, before[logical_id])
    stack.output_map = stack._create_output_map()


def _wanted(resources: ResourceMap) -> Iterator[str]:
    for logical_id, definition in resources._resource_json_map.items():
        condition = definition.get("Condition")
        if not condition or resources.lazy_condition_map[condition]:
            yield logical_id


def _brought_up_to_date(resources: ResourceMap, logical_id: str) -> bool:
    """Create or update a resource if it differs from its definition; return whether it did."""
    definition, known = resources._resource_json_map[logical_id], _properties_of(resources)
    if resources._parsed_resources.get(logical_id) is None:
        return resources[logical_id] is not None
    wanted = _resolved(resources, definition)
    if wanted == known.get(logical_id):
        return False
    model = resources._parsed_resources[logical_id]
    attribute = _NAMES.get(definition["Type"], ("", None))[0]
    is_renamed = wanted.get(attribute) != known.get(logical_id, wanted).get(attribute)
    if isinstance(model, Role):
        model.policies = {each["PolicyName"]: each["PolicyDocument"] for each in wanted.get("Policies", [])}
    elif isinstance(model, LogGroup):
        model.retention_in_days = wanted.get("RetentionInDays")
    elif hasattr(model, "update_configuration"):
        model.update_configuration(wanted)
    elif type(model) not in completions or is_renamed:
        if definition.get("UpdateReplacePolicy", "Delete") not in _KEPT_WHEN_DELETED:
            _delete_resource(resources, logical_id, definition)
        else:
            del resources._parsed_resources[logical_id]
        return resources[logical_id] is not None
    if type(model) in completions:
        completions[type(model)](model, wanted, resources._account_id, resources._region_name)
    known[logical_id] = wanted
    return True


def _resolved(resources: ResourceMap, definition: Json) -> Json:
    resolved: Json = _plain(clean_json(copy.deepcopy(definition.get("Properties", {})), resources))
    return resolved


def _plain(value: Any) -> Any:  # any JSON, and moto's model of a layer where it is referred to
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.arn if isinstance(value, LayerVersion) else value


def _properties_of(resources: ResourceMap) -> dict[str, Json]:
    """Return the properties that each resource of a stack was last given."""
    known: dict[str, Json] = vars(resources).setdefault("local_properties", {})
    return known


# ---- what a stack tells of itself, and change sets ----


def public_address(api_id: str) -> str:
    """Return the address that AWS would give an HTTP API."""
    return f"https://{api_id}.execute-api.{REGION}.amazonaws.com"


def _outputs_of(stack: Stack) -> list[dict[str, Any]] | None:
    outputs = _moto_outputs(stack) or []
    for output in outputs:
        for public, local in vars(stack).get("local_addresses", {}).items():
            output["OutputValue"] = str(output["OutputValue"]).replace(public, local)
    return outputs or None


def _parameters_of(stack: Stack) -> list[dict[str, str]]:
    values = stack.resource_map.resolved_parameters.items()
    return [{"ParameterKey": name, "ParameterValue": _text(value)} for name, value in values]


def _create_change_set(response: CloudFormationResponse) -> Any:
    """Answer CreateChangeSet; what AWS refuses before it makes anything is refused here."""
    backend, name = response.cloudformation_backend, response._get_param("StackName")
    kind = response._get_param("ChangeSetType", "UPDATE")
    stack = next((each for each in backend.stacks.values() if each.name == name), None)
    if kind == "UPDATE" and stack and stack.status in _ROLLED_BACK:
        raise ValidationError(message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
    if kind != "UPDATE" and stack and stack.status != "REVIEW_IN_PROGRESS":
        raise ValidationError(message=f"Stack [{name}] already exists and cannot be created again with the changeSet")
    if kind != "UPDATE" and stack:
        del backend.stacks[stack.stack_id]
    answer = _moto_creates_change_set(response)
    change_set = list(backend.change_sets.values())[-1]
    imports = response._get_param("ResourcesToImport", [])
    try:
        definitions = change_set.template_dict.get("Parameters", {})
        parameter_values(definitions, {name: _text(value) for name, value in change_set.parameters.items()})
        if kind == "IMPORT":
            _check_imports(backend, change_set, imports)
    except TemplateError as error:
        del backend.change_sets[change_set.change_set_id]
        raise ValidationError(message=str(error)) from error
    vars(change_set)["local_imports"] = {each["LogicalResourceId"]: each["ResourceIdentifier"] for each in imports}
    return answer


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)


def _check_imports(backend: CloudFormationBackend, change_set: ChangeSet, imports: list[Json]) -> None:
    definitions = change_set.template_dict["Resources"]
    named = {each["LogicalResourceId"] for each in imports}
    if others := sorted(definitions.keys() ^ named):
        raise TemplateError(f"an import may create, change or delete nothing else: {', '.join(others)}")
    if change_set.template_dict.get("Outputs"):
        raise TemplateError("an import may not add or change outputs")
    owned = {
        getattr(model, "physical_resource_id", None)
        for stack in backend.stacks.values()
        for model in stack.resource_map._parsed_resources.values()
    }
    for each in imports:
        definition = definitions[each["LogicalResourceId"]]
        ((attribute, name),) = each["ResourceIdentifier"].items()
        if "DeletionPolicy" not in definition:
            raise TemplateError(f"{each['LogicalResourceId']} needs a DeletionPolicy to be imported")
        if definition["Properties"].get(attribute) != name:
            raise TemplateError(f"{each['LogicalResourceId']} must have the literal {attribute} {name}")
        if _IMPORTED[definition["Type"]](name, backend.account_id, backend.region_name) is None:
            raise TemplateError(f"there is no {name} to import")
        if name in owned:
            raise TemplateError(f"{name} belongs to another stack")


def _execute_change_set(backend: CloudFormationBackend, change_set_name: str, stack_name: str | None = None) -> None:
    change_set = next(
        each
        for each in reversed(list(backend.change_sets.values()))
        if change_set_name in {each.change_set_id, each.change_set_name} and stack_name in {None, each.stack_name}
    )
    stack = backend.stacks[change_set.stack_id]
    change_set.execution_status = "EXECUTE_COMPLETE"
    if change_set.change_set_type == "UPDATE":
        stack._add_stack_event("UPDATE_IN_PROGRESS")
        _update(stack, change_set.template, change_set.parameters)
        stack.status = "UPDATE_COMPLETE"
        stack._add_stack_event("UPDATE_COMPLETE")
        return
    stack.template, stack.parameters = change_set.template, change_set.parameters
    stack._parse_template()
    stack.resource_map = stack._create_resource_map()
    stack.output_map = stack._create_output_map()
    if change_set.change_set_type == "CREATE":
        stack._add_stack_event("CREATE_IN_PROGRESS")
        _create(stack)
        return
    for logical_id, identifier in vars(change_set)["local_imports"].items():
        definition = stack.template_dict["Resources"][logical_id]
        (name,) = identifier.values()
        model = _IMPORTED[definition["Type"]](name, backend.account_id, backend.region_name)
        model.logical_resource_id, model.cf_resource_type = logical_id, definition["Type"]
        stack.resource_map._parsed_resources[logical_id] = model
        _properties_of(stack.resource_map)[logical_id] = _resolved(stack.resource_map, definition)
    stack.status = "IMPORT_COMPLETE"
    stack._add_stack_event("IMPORT_COMPLETE")


_moto_outputs: Any = vars(Stack)["outputs"].fget
_moto_creates = moto_parsing.parse_and_create_resource
_moto_deletes_stack = CloudFormationBackend.delete_stack
_moto_creates_change_set = CloudFormationResponse.create_change_set

for _owner, _name, _ours in (
    (Stack, "parse_template", staticmethod(_parse)),
    (ChangeSet, "_parse_template", _parse_change_set),
    (Stack, "parameter_list", property(_parameters_of)),
    (Stack, "outputs", property(_outputs_of)),
    (moto_parsing, "parse_and_create_resource", _create_resource),
    (Stack, "create_resources", _create),
    (ResourceMap, "delete", _delete_resources),
    (CloudFormationBackend, "delete_stack", _delete_stack),
    (CloudFormationBackend, "execute_change_set", _execute_change_set),
    (CloudFormationResponse, "create_change_set", _create_change_set),
    (CloudFormationResponse, "update_termination_protection", _update_termination_protection),
):
    setattr(_owner, _name, _ours)
