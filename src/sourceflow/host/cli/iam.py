"""``sourceflow iam``: the policies of IAM for exactly one App."""

from __future__ import annotations

import asyncio
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the hints
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from sourceflow.errors import AwsError
from sourceflow.host.cli.exits import WrongInputError, exits
from sourceflow.host.cli.output import write
from sourceflow.host.cli.parts import aws_of
from sourceflow.host.cli.target import Target, load_app

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sourceflow.host.app import App
    from sourceflow.transports.aws import AwsTransport
    from sourceflow.transports.aws.permissions import Permissions

__all__ = ("iam",)

MAX_ATTACHED: Final = 10
"""Managed policies that a role takes (IAM user guide, "IAM and AWS STS quotas"), more on request."""


class Mode(StrEnum):
    """How narrow a policy is."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class RoleName(StrEnum):
    """Whose rights."""

    SENDER = "sender"
    WORKER = "worker"
    OPERATOR = "operator"
    PROVISIONER = "provisioner"


def iam(
    target: Target,
    mode: Annotated[
        Mode,
        typer.Option(
            help="production names every queue, topic and key; development allows all that begin "
            "with the resource_prefix."
        ),
    ] = Mode.PRODUCTION,
    role: Annotated[
        RoleName | None,
        typer.Option(
            help="Who only sends; who listens and handles; who looks after dead letters; who makes "
            "queues and topics. One role that does all the App is configured to do where not given.",
            show_default=False,
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            help="The id of the AWS account; asked of AWS where not given.", show_default=False
        ),
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(help="The region; the App's own where not given.", show_default=False),
    ] = None,
    sse_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ARN",
            help="A key of KMS with which AWS itself encrypts the queues and topics; may be "
            "repeated.",
            show_default=False,
        ),
    ] = None,
    resource_policies: Annotated[
        bool,
        typer.Option(
            "--resource-policies",
            help="Print the policies of queues and keys instead, by their ARNs.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write each policy into a file of this folder, and print their names.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print the IAM policy for exactly this App, as JSON."""
    with exits():
        app = load_app(target)
        app.check()
        permissions = _permissions(app, mode, role, account, region, sse_key or ())
        for note in permissions.notes:
            typer.echo(f"note: {note}", err=True)
        if resource_policies:
            _write({"queues": permissions.queue_policies, "keys": permissions.key_policies})
            return
        documents = _documents(permissions, app)
        if len(documents) > MAX_ATTACHED:
            typer.echo(
                f"note: these are {len(documents)} policies, and a role takes {MAX_ATTACHED} where "
                "no more were asked for: ask AWS to raise that quota, or use the mode "
                "'development' with a resource_prefix",
                err=True,
            )
        if output is not None:
            for path in _save(documents, output, f"{app.name}-{role or 'all'}"):
                typer.echo(path)
        elif len(documents) == 1:
            _write(documents[0])
        else:
            raise WrongInputError(
                f"this takes {len(documents)} policies, as one may have 6,144 characters: give "
                "--output, to have each in a file, and attach all of them to the role"
            )


def _permissions(
    app: App,
    mode: Mode,
    role: RoleName | None,
    account: str | None,
    region: str | None,
    sse_keys: Sequence[str],
) -> Permissions:
    transport = aws_of(app)
    try:
        return transport.permissions(
            app.name,
            account=account or _account_of(transport),
            mode=mode.value,
            role=None if role is None else role.value,
            region=region,
            sse_keys=sse_keys,
        )
    except ValueError as error:  # an account, a region, a name that are none
        raise WrongInputError(str(error)) from None


def _account_of(transport: AwsTransport) -> str:
    try:
        return asyncio.run(transport.find_account())
    except AwsError as error:
        raise WrongInputError(
            f"AWS does not say which account this is ({error}): give --account"
        ) from None


def _documents(permissions: Permissions, app: App) -> tuple[dict[str, Any], ...]:
    try:
        documents = permissions.documents()
    except ValueError as error:
        raise WrongInputError(str(error)) from None
    if not documents:
        raise WrongInputError(
            f"the App {app.name!r} has nothing on AWS for the role {str(permissions.role)!r} to do"
        )
    return documents


def _save(documents: Sequence[Mapping[str, Any]], folder: Path, name: str) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, document in enumerate(documents, 1):
        path = folder / (f"{name}-{number}.json" if len(documents) > 1 else f"{name}.json")
        path.write_bytes(_json(document))
        paths.append(path)
    return paths


def _write(document: Mapping[str, Any]) -> None:
    write(_json(document).decode())


def _json(document: Mapping[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
