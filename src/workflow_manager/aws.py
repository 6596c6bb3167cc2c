"""What calls to AWS are made with: a session, a region, an account. Checked once, when the server starts.

AWS's own variables and files count wherever a setting is empty. A file or variable that cannot work is one sentence then, rather
than an error of the first request.
"""

from __future__ import annotations

import os
import re

import boto3
import botocore.session
from botocore.exceptions import BotoCoreError
from msgspec import Struct

from workflow_manager.settings import Settings, SettingsError

ROLE = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>[0-9]{12}):role/.+")


class Aws(Struct, frozen=True, kw_only=True):
    """AWS as the settings say it is reached. State machines are made in ``account_id``, and run with ``role_arn``."""

    session: boto3.Session
    region: str
    partition: str
    account_id: str
    role_arn: str


def configured(settings: Settings) -> Aws:
    """Raises SettingsError, one sentence that names all that is missing. Sends nothing to anyone.

    The account is the role's: a role can be passed to Step Functions in its own account only.
    """
    session = new_session(settings)
    region = session.region_name
    missing = []
    if not region:
        missing.append("a region (--region, AWS_REGION, or one in the profile)")
    if not settings.role_arn:
        missing.append("the ARN of the role that state machines run with (--role-arn)")
    try:
        if session.get_credentials() is None:
            missing.append(
                "credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of its host)"
            )
    except BotoCoreError as error:
        missing.append(f"credentials that can be used ({_sentence(error)})")
    if missing:
        raise SettingsError(f"the backend aws needs {_listed(missing)}")
    role = ROLE.fullmatch(settings.role_arn)
    if role is None:
        raise SettingsError(
            f"--role-arn must be the ARN of a role, as arn:aws:iam::123456789012:role/workflow-manager, "
            f"not {settings.role_arn!r}"
        )
    if settings.account_id not in ("", role["account"]):
        raise SettingsError(
            f"--account-id is {settings.account_id}, but the role {settings.role_arn} is of another account; "
            "state machines and their role must be in the same one"
        )
    return Aws(
        session=session,
        region=region,
        partition=role["partition"],
        account_id=role["account"],
        role_arn=settings.role_arn,
    )


def new_session(settings: Settings) -> boto3.Session:
    """The session that every client is made from, with the region of the settings, else of AWS's configuration.

    Raises SettingsError when the profile is not there.
    """
    core = botocore.session.Session(profile=settings.aws_profile or None)
    try:
        region = settings.region or os.environ.get("AWS_REGION") or core.get_config_variable("region")
        return boto3.Session(botocore_session=core, region_name=region or None)
    except BotoCoreError as error:  # ProfileNotFound, ConfigParseError
        raise SettingsError(f"AWS's configuration cannot be used: {_sentence(error)}") from None


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
