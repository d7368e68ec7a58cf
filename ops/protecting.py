"""The protection of a stack and its tables from being deleted."""

from __future__ import annotations

from ops.stack import DeployedStack


def protection_of(stack: DeployedStack) -> dict[str, bool]:
    """Return whether the stack and each of its tables, by name, is protected from being deleted."""
    described = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"][0]
    client = stack.client("dynamodb")
    tables = [client.describe_table(TableName=stack.resource(name))["Table"] for name in ("LabelsTable", "ItemsTable")]
    return {
        stack.name: bool(described.get("EnableTerminationProtection")),
        **{table["TableName"]: bool(table.get("DeletionProtectionEnabled")) for table in tables},
    }


def protect(stack: DeployedStack, name: str, is_protected: bool) -> None:
    """Turn the protection of the stack, or of one of its tables, on or off."""
    if name == stack.name:
        client = stack.client("cloudformation")
        client.update_termination_protection(StackName=name, EnableTerminationProtection=is_protected)
    else:
        stack.client("dynamodb").update_table(TableName=name, DeletionProtectionEnabled=is_protected)
