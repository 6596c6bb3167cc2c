"""What state machines and activities are made with besides their definition: names, roles, settings and tags, checked.

Pure. Source: API reference, CreateStateMachine and the configurations that it takes.
"""

from __future__ import annotations

import re

from workflow_manager.asl import Program
from workflow_manager.engine.shell.logs import group_of
from workflow_manager.engine.shell.machine import Settings
from workflow_manager.stepfunctions import types as t
from workflow_manager.stepfunctions.errors import (
    InvalidArn,
    InvalidEncryptionConfiguration,
    InvalidLoggingConfiguration,
    InvalidName,
    InvalidTracingConfiguration,
    TooManyTags,
    ValidationException,
)

FORBIDDEN_IN_NAMES = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]")
"""API reference, CreateStateMachine: what a name must not contain."""
LOG_GROUP = re.compile(r"arn:[a-z-]+:logs:[a-z0-9-]*:[0-9]*:log-group:[\w./#-]{1,512}(:\*)?")
MAX_TAGS = 50


def check_name(name: str) -> None:
    """Raises InvalidName."""
    if FORBIDDEN_IN_NAMES.search(name):
        raise InvalidName(f"Invalid Name: '{name}'")


def check_role(arn: str) -> None:
    """Raises InvalidArn."""
    if not arn.startswith("arn:"):
        raise InvalidArn(f"Invalid Role Arn: '{arn}'")


def check_logging(logging: t.LoggingConfiguration | None) -> None:
    """Raises InvalidLoggingConfiguration."""
    if logging is None:
        return
    destinations, group = logging.destinations or [], group_of(logging)
    if len(destinations) > 1 or (logging.level not in (None, "OFF") and group is None):
        raise InvalidLoggingConfiguration("Invalid Logging Configuration: Must specify exactly one Log Destination.")
    if group is not None and LOG_GROUP.fullmatch(group) is None:
        raise InvalidLoggingConfiguration(
            "Invalid Logging Configuration: The log group's ARN must be like "
            f"'arn:aws:logs:us-east-1:000000000000:log-group:name:*', not '{group}'."
        )


def check_tracing(tracing: t.TracingConfiguration | None) -> None:
    """Raises InvalidTracingConfiguration (API reference, CreateStateMachine, "Errors")."""
    if tracing is not None and tracing.enabled is None:
        raise InvalidTracingConfiguration("Invalid Tracing Configuration: enabled must be true or false")


def check_encryption(encryption: t.EncryptionConfiguration | None) -> None:
    """Raises InvalidEncryptionConfiguration (API reference, EncryptionConfiguration)."""
    if encryption is None:
        return
    own = encryption.type == "CUSTOMER_MANAGED_KMS_KEY"
    if own and encryption.kms_key_id is None:
        raise InvalidEncryptionConfiguration(
            "Invalid Encryption Configuration: kmsKeyId must be specified when type is CUSTOMER_MANAGED_KMS_KEY"
        )
    if not own and (encryption.kms_key_id, encryption.kms_data_key_reuse_period_seconds) != (None, None):
        raise InvalidEncryptionConfiguration(
            "Invalid Encryption Configuration: kmsKeyId and kmsDataKeyReusePeriodSeconds can only be specified "
            "when type is CUSTOMER_MANAGED_KMS_KEY"
        )


def tag_rows(tags: list[t.Tag] | None) -> list[tuple[str, str]]:
    """(key, value) rows; of several values for a key the last one counts. Raises ValidationException, TooManyTags."""
    rows = {}
    for number, tag in enumerate(tags or [], 1):
        if tag.key is None:
            raise ValidationException(
                f"1 validation error detected: Value null at 'tags.{number}.member.key' failed to satisfy constraint: "
                "Member must not be null"
            )
        rows[tag.key] = tag.value or ""
    if len(rows) > MAX_TAGS:
        raise TooManyTags(f"A resource has at most {MAX_TAGS} tags")
    return list(rows.items())


def plain(settings: Settings) -> Settings:
    """Settings that say what is so anyway are as good as none: CreateStateMachine is idempotent for them."""
    logging, tracing, encryption = settings.logging, settings.tracing, settings.encryption
    return Settings(
        None if logging is None or full_logging(logging) == full_logging(None) else full_logging(logging),
        None if tracing is None or not tracing.enabled else tracing,
        None if encryption is None or encryption.type == "AWS_OWNED_KEY" else encryption,
    )


def default_encryption(program: Program) -> t.EncryptionConfiguration | None:
    """What is told of the encryption where none was asked for.

    AWS has told it since the year in which variables and JSONata came; what was recorded before has none. Both are right by
    the API's model, where the member is optional, so that definitions which use neither are described as they always were.
    """
    recent = program.variable_references or any(
        state.jsonata or state.assign is not None for graph in program.graphs for state in graph.states.values()
    )
    return t.EncryptionConfiguration(type="AWS_OWNED_KEY") if recent else None


def full_logging(given: t.LoggingConfiguration | None) -> t.LoggingConfiguration:
    given = given or t.LoggingConfiguration()
    return t.LoggingConfiguration(
        level=given.level or "OFF",
        include_execution_data=bool(given.include_execution_data),
        destinations=given.destinations,
    )
