"""What users need to test their own code."""

from typing import TYPE_CHECKING, Any

from sourceflow.errors import MissingExtraError
from sourceflow.testing.clock import ManualClock
from sourceflow.testing.scenario import Given, Outcome, When, absent, given, like
from sourceflow.testing.trial import dead_lettered, handled, under_test

if TYPE_CHECKING:
    from sourceflow.testing.local_aws import LocalAws

__all__ = (
    "Given",
    "LocalAws",
    "ManualClock",
    "Outcome",
    "When",
    "absent",
    "dead_lettered",
    "given",
    "handled",
    "like",
    "under_test",
)


def __getattr__(name: str) -> Any:
    """Import what needs the extra ``aws`` when it is asked for: scenarios need no AWS."""
    if name != "LocalAws":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from sourceflow.testing.local_aws import LocalAws  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        if error.name not in {"aiohttp", "cryptography"}:
            raise
        raise MissingExtraError("aws", error.name) from error
    return LocalAws
