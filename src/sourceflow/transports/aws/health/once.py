"""An answer that several checks of one report need."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from sourceflow.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ("Once",)

ResultT = TypeVar("ResultT")


class Once(Generic[ResultT]):
    """Asks AWS once, however many checks of a report want to know.

    Args:
        ask: Makes the call.
    """

    def __init__(self, ask: Callable[[], Awaitable[ResultT]]) -> None:
        self._ask = ask
        self._asking = asyncio.Lock()
        self._outcome: tuple[ResultT] | AwsError | None = None

    @classmethod
    def known(cls, answer: ResultT) -> Once[ResultT]:
        """Return what need not be asked for."""

        async def give() -> ResultT:
            return answer

        return cls(give)

    async def get(self) -> ResultT:
        """Return the answer.

        Raises:
            AwsError: The call failed.
        """
        async with self._asking:
            if self._outcome is None:
                try:
                    self._outcome = (await self._ask(),)
                except AwsError as error:
                    self._outcome = error
        if isinstance(self._outcome, AwsError):
            raise self._outcome
        return self._outcome[0]
