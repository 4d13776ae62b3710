"""Time-outs of calls to AWS that go with a hurried clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sourceflow.transports.aws.client.caller import Caller

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("hurried_attempt",)


def hurried_attempt(times: float) -> Callable[..., Any]:
    """Return what may stand in for ``Caller.attempt``: its time-out is so many times shorter."""
    attempt = Caller.attempt
    return lambda caller, request, seconds: attempt(caller, request, seconds / times)
