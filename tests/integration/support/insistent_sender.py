"""A producer that sends until it is confirmed, as producers should."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.errors import AwsError, CircuitOpenError

if TYPE_CHECKING:
    from sourceflow import App, Command
    from sourceflow.clock import Clock

__all__ = ("send_insistently",)


async def send_insistently(app: App, command: Command, message_id: str, clock: Clock) -> None:
    """Send a command, always with the same id: it may have arrived all the same."""
    while True:
        try:
            await app.send(command, message_id=message_id)
        except CircuitOpenError as error:
            await clock.sleep(error.retry_after.total_seconds())
        except AwsError:
            await clock.sleep(1)
        else:
            return
