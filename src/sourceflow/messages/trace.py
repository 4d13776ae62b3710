"""Where a message stands in a distributed trace, as W3C Trace Context writes it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple, Self

__all__ = ("TraceContext",)

MAX_STATE: Final = 512
"""Characters of a ``tracestate`` that are passed on: the specification asks for as many at least
(W3C Trace Context, section 3.3.1.5), and beyond them it may be left out."""

_is_parent: Final = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
).fullmatch
_is_state: Final = re.compile(rf"[\t -~]{{1,{MAX_STATE}}}").fullmatch


class TraceContext(NamedTuple):
    """The place of a message in a trace: what was under way when it was made or sent.

    It says nothing of what the message means: one that is not valid is left out, and the message
    travels without.

    Attributes:
        traceparent: Version, trace id, span id and flags.
        tracestate: What tracing systems add for themselves; mostly empty.
    """

    traceparent: str
    tracestate: str = ""

    @classmethod
    def read(cls, traceparent: object, tracestate: object = None) -> Self | None:
        """Return what two texts say; None where the first is no ``traceparent``, whatever it is."""
        if not isinstance(traceparent, str) or not _is_parent(traceparent):
            return None
        if isinstance(tracestate, str) and _is_state(tracestate):
            return cls(traceparent, tracestate)
        return cls(traceparent)

    @property
    def trace_id(self) -> str:
        """The id of the trace: 32 hexadecimal digits."""
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        """The id of the span: 16 hexadecimal digits."""
        return self.traceparent[36:52]

    @property
    def is_sampled(self) -> bool:
        """Whether the trace is recorded, as far as its producer knows."""
        return bool(int(self.traceparent[53:], 16) & 1)
