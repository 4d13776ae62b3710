"""``sourceflow local``: SQS, SNS and KMS in memory, for development."""

import asyncio
from errno import EADDRINUSE
from typing import Annotated

import typer

from sourceflow.host.signals import stop_signals

__all__ = ("local",)


def local(
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The loopback port; 0 takes a free one.")
    ] = 4566,
) -> None:
    """Serve SQS, SNS and KMS in memory until interrupted."""
    try:
        asyncio.run(_serve(port))
    except BrokenPipeError:  # who reads our output has gone: click ends without a word
        raise
    except OSError as error:
        reason = "something else uses it" if error.errno == EADDRINUSE else error.strerror
        typer.echo(f"error: port {port} cannot be used: {reason}", err=True)
        raise typer.Exit(2) from None


async def _serve(port: int) -> None:
    from sourceflow.testing import LocalAws

    async with stop_signals() as stopped, LocalAws(port=port) as aws:
        typer.echo(f"SQS, SNS and KMS answer on {aws.endpoint_url} (Ctrl-C ends it)")
        typer.echo(
            f"export AWS_ENDPOINT_URL={aws.endpoint_url} AWS_ACCESS_KEY_ID=test "
            "AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION=us-east-1"
        )
        await stopped.wait()
