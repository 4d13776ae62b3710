"""Every exception that sourceflow raises.

    SourceflowError
    ├── WiringError                 the App cannot start: every fault found, in one error
    ├── MessageError                a message cannot be built, written or read
    │   ├── InvalidMessageError     refused at construction or at send   (ValueError)
    │   ├── MessageTooLargeError    can never fit its destination        (ValueError)
    │   ├── MalformedError          received bytes are not one of our messages
    │   ├── UnknownTypeError        no type of this name and version     (LookupError)
    │   ├── WrongKindError          an event in a command queue, or the reverse
    │   ├── DecryptionFailedError   changed, moved, or of a key that is not allowed
    │   └── PlaintextRefusedError   not encrypted, where it must be
    ├── HandlingError               a message was understood and not handled
    │   ├── NoHandlerError          neither handler nor route            (LookupError)
    │   ├── NotFoundError           entity or view model is missing      (LookupError)
    │   ├── AlreadyExistsError      created twice
    │   ├── DuplicateError          handled before
    │   ├── ConflictError           the race for the stream's head was lost too often
    │   ├── DepthExceededError      causes itself without end
    │   ├── RejectedError           a handler rejected it for good
    │   ├── HandlerEndedError       something was sent after its handler  (RuntimeError)
    │   ├── NoConnectionError       there is none for own SQL            (RuntimeError)
    │   ├── StatementError          a statement of a handler's own SQL failed
    │   │   └── ConstraintError     it broke a constraint of a table
    │   └── UseSelfSendError        app.send inside of a handler         (RuntimeError)
    ├── ReplayError                 a stored message can't be read or run again
    ├── DependencyError             a thing outside this process does not answer
    │   ├── CircuitOpenError        calls to it are suspended for a while
    │   └── KeyUnavailableError     no data key can be had or decrypted now
    ├── StoreConfigurationError     a database is not as it must be
    ├── SettingsError               a setting is misspelt or cannot be used (ValueError)
    ├── NotRunningError             the App has not started or has stopped (RuntimeError)
    ├── MissingExtraError           an optional dependency is absent     (ImportError)
    ├── SendManyError               some messages of one call were not sent
    └── AwsError                    AWS answered with an error
        ├── AwsThrottledError       too many calls: slow down
        ├── AwsTransientError       a passing fault, time-outs included
        ├── AwsCredentialsError     missing, expired or refused credentials
        ├── AwsConfigurationError   a resource or a right is missing
        │   └── AwsKeyError         a KMS key is missing, disabled or forbidden
        ├── AwsLeaseLostError       the receipt handle no longer counts
        └── AwsRequestError         this request can never succeed
            └── AwsCiphertextError  KMS refuses what it is to decrypt

``Retry``, ``Reject`` and ``Discard`` are signals that handlers raise; they live here because every
stage of a message's journey speaks of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

__all__ = (
    "AlreadyExistsError",
    "AwsCiphertextError",
    "AwsConfigurationError",
    "AwsCredentialsError",
    "AwsError",
    "AwsKeyError",
    "AwsLeaseLostError",
    "AwsRequestError",
    "AwsThrottledError",
    "AwsTransientError",
    "CircuitOpenError",
    "ConflictError",
    "ConstraintError",
    "DecryptionFailedError",
    "DependencyError",
    "DepthExceededError",
    "Discard",
    "DuplicateError",
    "HandlerEndedError",
    "HandlingError",
    "InvalidMessageError",
    "KeyUnavailableError",
    "MalformedError",
    "MessageError",
    "MessageTooLargeError",
    "MissingExtraError",
    "NoConnectionError",
    "NoHandlerError",
    "NotFoundError",
    "NotRunningError",
    "PlaintextRefusedError",
    "Reject",
    "RejectedError",
    "ReplayError",
    "Retry",
    "SendManyError",
    "SettingsError",
    "Settlement",
    "SourceflowError",
    "StatementError",
    "StoreConfigurationError",
    "UnknownTypeError",
    "UseSelfSendError",
    "WiringError",
    "WrongKindError",
)


class SourceflowError(Exception):
    """The root of all errors of this library."""


class WiringError(SourceflowError):
    """Raised when an App cannot start as it is put together.

    Attributes:
        faults: Every fault that was found, each a sentence that names the component.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"  - {fault}" for fault in self.faults)
        super().__init__(f"{len(self.faults)} fault(s) in the wiring:\n{lines}")


class MessageError(SourceflowError):
    """A message cannot be built, written or read."""


class InvalidMessageError(MessageError, ValueError):
    """Raised when a message is refused at construction or at send."""


class MessageTooLargeError(MessageError, ValueError):
    """Raised when a message can never fit its destination.

    Attributes:
        size: Bytes the message takes, attributes included.
        limit: Bytes the destination takes.
        destination: The queue or topic.
    """

    def __init__(self, *, size: int, limit: int, destination: str) -> None:
        self.size = size
        self.limit = limit
        self.destination = destination
        super().__init__(f"the message takes {size:,} bytes; {destination} takes {limit:,}")


class MalformedError(MessageError):
    """Raised when bytes are not one of our messages; never holds a value of the message.

    Attributes:
        field: The field that does not fit, such as ``lines[0].price``; None where it is no single
            one.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        self.field = field
        super().__init__(message)


class UnknownTypeError(MessageError, LookupError):
    """Raised when no type of this name and version is registered; a newer instance may know it.

    Attributes:
        type_name: The wire name.
        version: The version the message carries.
    """

    def __init__(self, type_name: str, version: int | None = None) -> None:
        self.type_name = type_name
        self.version = version
        at = "" if version is None else f" in version {version}"
        super().__init__(f"no message type {type_name!r} is known{at}")


class WrongKindError(MessageError):
    """Raised when an event arrives where commands are taken, or the reverse."""


class DecryptionFailedError(MessageError):
    """Raised when an encrypted message, or a record of the stores, can never be decrypted here.

    Something of it was changed or cut off, it was encrypted for another queue or topic or for
    another place in the stores, or its key is not one that is allowed.
    """


class PlaintextRefusedError(MessageError):
    """Raised when a message arrives in clear where only encrypted ones are taken."""


class HandlingError(SourceflowError):
    """A message was understood and not handled."""


class NoHandlerError(HandlingError, LookupError):
    """Raised when a command has neither a handler nor a route.

    It is also the error of an arrived event that nobody listens to, where
    ``AwsOptions(unheard_events="retry")`` says that such events are no others'.
    """


class NotFoundError(HandlingError, LookupError):
    """Raised when an entity or a view model is missing.

    Attributes:
        type_name: The entity's or view model's class name.
        key: The key that was looked for.
    """

    def __init__(self, type_name: str, key: object) -> None:
        self.type_name = type_name
        self.key = key
        super().__init__(f"{type_name} {key!r} does not exist")


class AlreadyExistsError(HandlingError):
    """Raised when a handler that creates an entity meets one that exists.

    Attributes:
        type_name: The entity's class name.
        key: Its key.
    """

    def __init__(self, type_name: str, key: object) -> None:
        self.type_name = type_name
        self.key = key
        super().__init__(f"{type_name} {key!r} exists already")


class ConflictError(HandlingError):
    """Raised when another writer won the race for the same state each time it was tried."""


class DuplicateError(HandlingError):
    """Raised when a store meets a claim that is taken: the message was handled before."""


class DepthExceededError(HandlingError):
    """Raised when a message causes messages in what looks like an endless loop."""


class RejectedError(HandlingError):
    """Raised at the edge when a handler rejected the command.

    Attributes:
        reason: What the handler said.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class HandlerEndedError(HandlingError, RuntimeError):
    """Raised when a task that a handler left behind sends, raises or writes something.

    It would be lost.
    """

    def __init__(self, message: str) -> None:
        super().__init__(
            f"{message} came after its handler had ended, and would be lost: await everything "
            "inside the handler"
        )


class NoConnectionError(HandlingError, RuntimeError):
    """Raised when a handler asks for a connection for its own SQL where there is none to have."""


class StatementError(HandlingError):
    """Raised when a statement of a handler's own SQL fails, or is not one that can be run.

    The handler fails with it, also where it catches it: what PostgreSQL does after a failed
    statement, every database is taken to do here. The error of the driver is its cause.
    """


class ConstraintError(StatementError):
    """Raised when a handler's own SQL breaks a constraint: a unique key, a foreign key, a check."""


class UseSelfSendError(HandlingError, RuntimeError):
    """Raised when ``app.send`` is called inside a handler, where it would escape the unit of work.

    The same goes for ``app.send_many`` and ``app.cancel``.
    """

    def __init__(self, called: str = "send", instead: str = "send") -> None:
        super().__init__(
            f"app.{called} was called inside a handler: use self.{instead}, which takes effect "
            "with the handler's unit of work or not at all"
        )


class ReplayError(SourceflowError):
    """Raised when a stored message stops a replay, a rebuild or a look back; nothing was changed.

    Attributes:
        position: The sequence number in the stream, or the position in the event log.
        type_name: The wire name of the stored message.
        version: The version it is stored in; None where it could be read, and its handler failed.
        field: The field that no longer fits, such as ``lines[0].price``; None where it is no
            single one.
    """

    def __init__(
        self,
        message: str,
        *,
        position: int,
        type_name: str,
        version: int | None = None,
        field: str | None = None,
    ) -> None:
        self.position = position
        self.type_name = type_name
        self.version = version
        self.field = field
        what = type_name if version is None else f"{type_name}, version {version}"
        super().__init__(f"at position {position} ({what}): {message}")

    @classmethod
    def unreadable(
        cls, error: MessageError, *, position: int, type_name: str, version: int | None
    ) -> Self:
        """Return what to raise of a stored message that no longer decodes."""
        return cls(
            f"it can no longer be read: {error}",
            position=position,
            type_name=type_name,
            version=version,
            field=error.field if isinstance(error, MalformedError) else None,
        )


class DependencyError(SourceflowError):
    """A thing outside this process (store, key service, credentials) does not answer.

    A listener that meets it pauses and hands its messages back: it is no fault of theirs.
    """


class CircuitOpenError(DependencyError):
    """Raised when calls to a destination are suspended after repeated failures.

    Attributes:
        destination: The queue or topic.
        retry_after: How long until a probe is let through.
    """

    def __init__(self, destination: str, retry_after: timedelta) -> None:
        self.destination = destination
        self.retry_after = retry_after
        seconds = retry_after.total_seconds()
        super().__init__(f"calls to {destination} are suspended; try again in {seconds:.1f} s")


class KeyUnavailableError(DependencyError):
    """Raised when no data key can be had or decrypted now.

    The key service does not answer, or the key is missing, disabled or forbidden. What was to be
    sent was not; who listens waits until the key is back.
    """


class SendManyError(SourceflowError):
    """Raised when some messages of one ``send_many`` were not sent; the others were.

    Attributes:
        failed: For each message id that was not sent, why.
    """

    def __init__(self, failed: Mapping[str, Exception]) -> None:
        self.failed = dict(failed)
        first = next(iter(self.failed.values()))
        super().__init__(f"{len(self.failed)} message(s) were not sent; the first: {first}")


class StoreConfigurationError(SourceflowError):
    """A database's address, rights or schema is not as it must be: a person has to mend it."""


class SettingsError(SourceflowError, ValueError):
    """Raised when a setting is misspelt or its value cannot be used.

    The text names the file and the option, or the environment variable, and never the value.
    """


class NotRunningError(SourceflowError, RuntimeError):
    """Raised when an App is used before it has started or after it has stopped."""


class MissingExtraError(SourceflowError, ImportError):
    """Raised when an optional dependency is absent.

    Attributes:
        extra: The extra of this distribution that brings it.
    """

    def __init__(self, extra: str, module: str) -> None:
        self.extra = extra
        super().__init__(
            f"{module} is not installed: pip install 'sourceflow[{extra}]'", name=module
        )


class AwsError(SourceflowError):
    """AWS answered with an error.

    Attributes:
        code: The error code as AWS names it, without a namespace.
        status: The HTTP status, or 0 where no answer came.
        operation: The API operation, such as ``SendMessageBatch``.
    """

    def __init__(self, message: str, *, code: str, status: int = 0, operation: str = "") -> None:
        self.code = code
        self.status = status
        self.operation = operation
        where = f"{operation}: " if operation else ""
        super().__init__(f"{where}{code}: {message}" if message else f"{where}{code}")


class AwsThrottledError(AwsError):
    """AWS asks to slow down; the request had no effect."""


class AwsTransientError(AwsError):
    """A passing fault: the request may or may not have taken effect."""


class AwsCredentialsError(AwsError, DependencyError):
    """Credentials are missing, expired or refused, also after they were refreshed."""


class AwsConfigurationError(AwsError):
    """A queue, topic, key or right is missing: a person has to mend it."""


class AwsKeyError(AwsConfigurationError, DependencyError):
    """A key of KMS is missing, disabled, about to be deleted or forbidden: a person has to mend it.

    A listener pauses until then: what the key encrypted is no worse for it.
    """


class AwsLeaseLostError(AwsError):
    """The receipt handle no longer counts: the message is visible to others again."""


class AwsRequestError(AwsError):
    """This request can never succeed as it is."""


class AwsCiphertextError(AwsRequestError):
    """KMS refuses to decrypt: what it got was changed, or encrypted by another key or context."""


class Settlement(Exception):  # noqa: N818 - signals that handlers raise, not errors
    """What a handler raises to settle its message otherwise than by returning."""


class Retry(Settlement):
    """Roll back and handle the message again after a delay; counted apart from failures.

    Attributes:
        delay: How long to wait; None leaves it to the back-off.
        reason: Why, for logs.
    """

    def __init__(self, delay: timedelta | None = None, *, reason: str = "") -> None:
        self.delay = delay
        self.reason = reason
        super().__init__(reason or "retry")


class Reject(Settlement):
    """Roll back and dead-letter the message now.

    Attributes:
        reason: Why; it travels with the dead letter.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Discard(Settlement):
    """Roll back, acknowledge the message and count it as discarded.

    Attributes:
        reason: Why, for logs.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
