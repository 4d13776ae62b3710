"""Calls that fail because a test says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.errors import AwsFault

__all__ = ("Refusals",)


class Refusals:
    """How many of the next calls of which operations are refused, and how."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[int, AwsFault]] = {}

    def expect(self, operation: str, times: int, fault: AwsFault) -> None:
        """Refuse the next calls of an operation; forget what was said of it before."""
        self._left.pop(operation, None)
        if times > 0:
            self._left[operation] = (times, fault)

    def check(self, operation: str) -> None:
        """Count a call.

        Raises:
            AwsFault: It is to be refused.
        """
        if operation in self._left:
            left, fault = self._left[operation]
            self.expect(operation, left - 1, fault)
            raise fault.again()
