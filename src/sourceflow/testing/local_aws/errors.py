"""What LocalAws refuses, in the words of AWS."""

from __future__ import annotations

__all__ = ("AwsFault",)


class AwsFault(Exception):  # noqa: N818 - AWS's word
    """Raised by the services; the server writes it in the protocol of the service.

    Attributes:
        code: The error code; for SQS the shape's name in the JSON protocol.
        message: What AWS says.
        status: The HTTP status.
        query_code: SQS's code in the old query protocol, where it is another one.
    """

    def __init__(
        self, code: str, message: str, *, status: int = 400, query_code: str | None = None
    ) -> None:
        self.code = code
        self.message = message
        self.status = status
        self.query_code = query_code or code
        super().__init__(f"{code}: {message}")

    def again(self) -> AwsFault:
        """Return a new one that says the same: one that was raised holds where it was raised."""
        return AwsFault(self.code, self.message, status=self.status, query_code=self.query_code)
