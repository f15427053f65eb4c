"""A deployed stack as an operator's command finds it: its secret, its table, its Recall."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from shared.config import require
from shared.errors import PermanentError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager.client import SecretsManagerClient

SAM_CONFIG: Final = Path("samconfig.toml")
VARIABLES: Final = ("AWS_REGION", "SECRET_ID", "WORKSPACE_TABLE", "RECALL_BASE_URL")
TABLE: Final = "WorkspaceTable"
_MISSING: Final = frozenset({"ResourceNotFoundException", "ValidationError"})
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_CREDENTIALS: Final = "Give this command AWS credentials: AWS_PROFILE, `aws sso login` or the like."


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """What an operator's command needs to know; `recall_limits` as in RECALL_LIMITS."""

    region: str
    secret_id: str
    workspace_table: str
    recall_base_url: str
    recall_limits: str = ""


def stack_of(environment: Mapping[str, str]) -> Stack:
    """From the variables that functions get; PermanentError `settings_missing` names the rest."""
    settings = require(environment, *VARIABLES)
    return Stack(
        region=settings["AWS_REGION"],
        secret_id=settings["SECRET_ID"],
        workspace_table=settings["WORKSPACE_TABLE"],
        recall_base_url=settings["RECALL_BASE_URL"],
        recall_limits=environment.get("RECALL_LIMITS", ""),
    )


def stack_name(environment: str, *, config: Path = SAM_CONFIG) -> str:
    """The name under which `make deploy ENVIRONMENT=...` deploys."""
    known = tomllib.loads(config.read_text())
    named = known.get(environment, {}).get("deploy", {}).get("parameters", {}).get("stack_name")
    if not isinstance(named, str):
        message = f"{config} has no environment {environment}. Give the one that was deployed."
        raise PermanentError("environment_unknown", message)
    return named


def find_stack(client: Any, name: str) -> Stack:  # noqa: ANN401  CloudFormation has no stubs here
    """From CloudFormation; PermanentError names what is missing and what to do."""
    region = client.meta.region_name
    with refusals(f"stack {name} in {region}"):
        (described,) = client.describe_stacks(StackName=name)["Stacks"]
        parameters = _pairs(described, "Parameter")
        secret_id = _pairs(described, "Output").get("SecretArn")
        if secret_id is None:
            message = f"{name} is not a stack of Rollcall. Give the one that was deployed."
            raise PermanentError("stack_foreign", message)
        table = client.describe_stack_resource(StackName=name, LogicalResourceId=TABLE)
        return Stack(
            region=region,
            secret_id=secret_id,
            workspace_table=table["StackResourceDetail"]["PhysicalResourceId"],
            recall_base_url=parameters.get("RecallBaseUrl")
            or f"https://{parameters.get('RecallRegion', '')}.recall.ai",
            recall_limits=parameters.get("RecallLimits", ""),
        )


class StackSecret:
    """The stack's secret, read anew each time; what is in it shows in no repr and no error."""

    def __init__(self, client: SecretsManagerClient, secret_id: str) -> None:
        self._client = client
        self._secret_id = secret_id

    def texts(self) -> dict[str, str]:
        """The texts by their keys, without blanks around them."""
        values = self._values()
        return {name: value.strip() for name, value in values.items() if isinstance(value, str)}

    def change(self, changes: Mapping[str, str]) -> None:
        """Replaces these keys and leaves the others as they are."""
        text = json.dumps({**self._values(), **changes})
        with refusals(f"secret {self._secret_id}"):
            self._client.put_secret_value(SecretId=self._secret_id, SecretString=text)

    def _values(self) -> dict[str, object]:
        with refusals(f"secret {self._secret_id}"):
            text = self._client.get_secret_value(SecretId=self._secret_id)["SecretString"]
        try:
            values = json.loads(text)
        except ValueError:
            values = None
        if not isinstance(values, dict):
            raise PermanentError("secrets_malformed", "The stack's secret is not a JSON object.")
        return values


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """AWS refusals as PermanentError with the remedy; AWS's own texts may quote what was sent."""
    try:
        yield
    except NoCredentialsError:
        raise PermanentError("aws_credentials_missing", _CREDENTIALS) from None
    except NoRegionError:
        message = "Say in which region the stack is: AWS_DEFAULT_REGION or the profile's region."
        raise PermanentError("aws_region_missing", message) from None
    except ClientError as error:
        raise PermanentError("aws_refused", _remedy(error, what)) from None
    except BotoCoreError as error:
        message = f"AWS did not answer ({type(error).__name__}) about the {what}. Repeat it."
        raise PermanentError("aws_unavailable", message) from None


def _remedy(error: ClientError, what: str) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    operation = error.operation_name
    if code in _DENIED:
        return f"Your AWS identity lacks the permission for {operation} on the {what}. Grant it."
    if code in _MISSING:
        return f"There is no {what}. Give the ENVIRONMENT (and region) that was deployed."
    if "Token" in code or "Credential" in code or "Signature" in code:
        return f"AWS does not accept the credentials ({code}). {_CREDENTIALS}"
    return f"AWS refused {operation} on the {what} with {code}."


def _pairs(described: Any, word: str) -> dict[str, str]:  # noqa: ANN401  as above
    """The stack's parameters or outputs, by their keys."""
    return {each[f"{word}Key"]: each[f"{word}Value"] for each in described.get(f"{word}s", ())}
