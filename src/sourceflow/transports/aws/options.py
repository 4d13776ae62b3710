"""How the transport reaches AWS and works with it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, get_args
from urllib.parse import urlsplit

from sourceflow.resilience.circuit_breaker import CircuitOptions
from sourceflow.transports.aws.dead_letters.monitor import DeadLetterMonitor
from sourceflow.transports.aws.encryption import DEFAULT_LIFETIME

__all__ = ("AwsOptions", "ProvisioningMode", "UnheardEvents")

ProvisioningMode = Literal["ensure", "verify", "off"]
"""``ensure`` adds what is missing, ``verify`` only looks, ``off`` only looks up addresses."""

UnheardEvents = Literal["acknowledge", "retry"]
"""What becomes of an event that no subscriber of the instance listens to that received it."""

MAX_WAIT: Final = timedelta(seconds=20)
"""The longest long poll (SQS API reference, ``ReceiveMessage``)."""

MAX_VISIBILITY: Final = timedelta(hours=12)
"""The longest visibility timeout (SQS developer guide, "visibility timeout")."""

MIN_RETENTION: Final = timedelta(minutes=1)
"""The shortest that a queue keeps messages (SQS API reference, ``SetQueueAttributes``)."""

MAX_RETENTION: Final = timedelta(days=14)
"""The longest that a queue keeps messages (likewise)."""

MAX_LINGER: Final = timedelta(milliseconds=5)
"""The longest a batch waits for more: beyond that, waiting costs more than a call."""

MAX_RECEIVE_COUNT: Final = 1000
"""The highest ``maxReceiveCount`` of a redrive policy (SQS API reference, ``SetQueueAttributes``)."""

CRASHES_PER_ATTEMPT: Final = 3
"""SQS gives a message up after so many receives for each attempt: a net for crashes only."""

MAX_LIFETIME: Final = timedelta(hours=24)
"""The longest that a data key is used: nobody can take it back meanwhile."""

_PREFIX: Final = re.compile(r"[A-Za-z0-9_-]{0,40}")


REGION_VARIABLE: Final = "AWS_DEFAULT_REGION"
"""Where the SDKs and the command line of AWS look for a region, too (AWS SDKs and tools reference)."""


def _region_of_environment() -> str:
    """Return the region that the environment says.

    Raises:
        ValueError: It says none.
    """
    region = os.environ.get(REGION_VARIABLE)
    if not region:
        raise ValueError(
            f"no region is given: set AwsOptions(region='us-east-1'), or the variable "
            f"{REGION_VARIABLE}"
        )
    return region


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsOptions:
    """How the transport reaches AWS and works with it.

    Attributes:
        region: The AWS region, such as ``eu-central-1``; where not given, that of the
            variable ``AWS_DEFAULT_REGION``.
        enable_command_routing: Send routed commands to their queues; off, they are handled here.
        enable_event_routing: Publish routed events to their topics; off, they stay here.
        enable_command_listener: Take commands from the queues that are listened to.
        enable_event_listener: Take events of the topics that are subscribed to.
        max_concurrent_calls: Messages handled at a time, over all queues.
        enable_encryption: Encrypt messages to all queues and topics whose route says nothing else.
        kms_key_id: The key of AWS KMS to encrypt with: its ARN, id or alias.
        decrypt_key_ids: Further keys of KMS that may have encrypted what arrives.
        require_encryption: Refuse messages that arrive in clear; a command queue may say otherwise.
        encrypt_at_rest: Encrypt what SQL stores keep: logs, entities, view models, what waits to be
            sent, dead letters.
        data_key_lifetime: How long one data key encrypts, and how long a decrypted one is kept.
        endpoint_url: Where AWS is, instead of its own endpoints: LocalAws, LocalStack, a proxy.
        wait_time: How long a receive waits for a first message, up to 20 seconds.
        visibility_timeout: How long a message is hidden from others before its lease is renewed.
        message_retention: How long a queue that is made keeps messages, up to 14 days.
        max_attempts: How often the handling of a message may fail before it is given up.
        unheard_events: What becomes of an event that no subscriber of the instance listens to which
            received it: ``acknowledge`` lets it go, as a topic may carry more than an App wants;
            ``retry`` leaves it for an instance of a newer version, and makes it a dead letter after
            ``max_attempts``.
        strict_order: Start the next message of a FIFO group only when the delete of the one before
            is confirmed, also where the stores remember over restarts what was handled.
        linger: How long a batch waits for more messages, up to 5 ms; 0 waits only for those who
            are ready to send.
        send_timeout: How long a message is tried while AWS asks to slow down.
        circuit_breaker: When sending to a queue or topic that cannot be reached is suspended.
        shutdown_grace: How long handlers may take to end when the App stops.
        dead_letter_monitor: How dead letter queues are watched; None watches none.
        provisioning: ``ensure`` adds missing queues, topics, subscriptions and policies;
            ``verify`` only looks; ``off`` only looks up addresses.
        resource_prefix: Stands before the name of every queue and topic.

    Raises:
        ValueError: A value is out of range, its effect is not available, or there is no region.
        TypeError: A value is of the wrong type.
    """

    region: str = ""
    enable_command_routing: bool = True
    enable_event_routing: bool = True
    enable_command_listener: bool = True
    enable_event_listener: bool = True
    max_concurrent_calls: int = 10
    enable_encryption: bool = False
    kms_key_id: str | None = None
    decrypt_key_ids: tuple[str, ...] = ()
    require_encryption: bool = False
    encrypt_at_rest: bool = False
    data_key_lifetime: timedelta = DEFAULT_LIFETIME
    endpoint_url: str | None = None
    wait_time: timedelta = timedelta(seconds=20)
    visibility_timeout: timedelta = timedelta(seconds=30)
    message_retention: timedelta = timedelta(days=4)
    max_attempts: int = 5
    unheard_events: UnheardEvents = "acknowledge"
    strict_order: bool = False
    linger: timedelta = timedelta(0)
    send_timeout: timedelta = timedelta(seconds=60)
    circuit_breaker: CircuitOptions = CircuitOptions()  # noqa: RUF009 - frozen
    shutdown_grace: timedelta = timedelta(seconds=30)
    dead_letter_monitor: DeadLetterMonitor | None = None
    provisioning: ProvisioningMode = "ensure"
    resource_prefix: str = ""

    def __post_init__(self) -> None:
        if self.region == "":
            object.__setattr__(self, "region", _region_of_environment())
        if not isinstance(self.region, str) or not re.fullmatch(r"[a-z0-9-]+", self.region):
            raise ValueError(f"region {self.region!r} is not the name of one, such as 'us-east-1'")
        _check_keys(self.kms_key_id, self.decrypt_key_ids)
        check_duration(
            "data_key_lifetime", self.data_key_lifetime, timedelta(seconds=1), MAX_LIFETIME
        )
        check_count("max_concurrent_calls", self.max_concurrent_calls)
        check_attempts("max_attempts", self.max_attempts)
        check_duration("wait_time", self.wait_time, timedelta(0), MAX_WAIT)
        check_duration(
            "visibility_timeout", self.visibility_timeout, timedelta(seconds=1), MAX_VISIBILITY
        )
        check_duration("message_retention", self.message_retention, MIN_RETENTION, MAX_RETENTION)
        check_duration("linger", self.linger, timedelta(0), MAX_LINGER)
        check_duration("send_timeout", self.send_timeout, timedelta(0), None)
        if not isinstance(self.circuit_breaker, CircuitOptions):
            raise TypeError(
                f"circuit_breaker is a CircuitOptions, not {type(self.circuit_breaker).__name__}"
            )
        check_duration("shutdown_grace", self.shutdown_grace, timedelta(0), None)
        if not isinstance(self.dead_letter_monitor, DeadLetterMonitor | None):
            raise TypeError(
                "dead_letter_monitor is a DeadLetterMonitor, not "
                f"{type(self.dead_letter_monitor).__name__}"
            )
        if self.unheard_events not in get_args(UnheardEvents):
            raise ValueError(
                f"unheard_events is 'acknowledge' or 'retry', not {self.unheard_events!r}"
            )
        if self.provisioning not in get_args(ProvisioningMode):
            raise ValueError(
                f"provisioning is 'ensure', 'verify' or 'off', not {self.provisioning!r}"
            )
        if not isinstance(self.resource_prefix, str) or not _PREFIX.fullmatch(self.resource_prefix):
            raise ValueError(
                f"resource_prefix {self.resource_prefix!r} must be at most 40 letters, digits, "
                "'-' or '_'"
            )
        _check_url(self.endpoint_url)


def check_count(name: str, value: object) -> None:
    """Check a number of things.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is less than 1.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} is a whole number, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} is at least 1, not {value}")


def check_attempts(name: str, value: int) -> None:
    """Check a number of attempts.

    Raises:
        TypeError: It is no whole number.
        ValueError: It is out of range.
    """
    check_count(name, value)
    if value * CRASHES_PER_ATTEMPT > MAX_RECEIVE_COUNT:
        raise ValueError(
            f"{name} is at most {MAX_RECEIVE_COUNT // CRASHES_PER_ATTEMPT}, not {value}"
        )


def check_duration(name: str, value: object, least: timedelta, most: timedelta | None) -> None:
    """Check a duration.

    Raises:
        TypeError: It is no ``timedelta``.
        ValueError: It is out of range.
    """
    if not isinstance(value, timedelta):
        raise TypeError(f"{name} is a timedelta, not {type(value).__name__}")
    if value < least or (most is not None and value > most):
        limit = f"at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} is {limit}, not {value}")


def _check_keys(key_id: str | None, more: tuple[str, ...]) -> None:
    if not isinstance(more, tuple):
        raise TypeError(f"decrypt_key_ids is a tuple of ids, not {type(more).__name__}")
    for each in more if key_id is None else (key_id, *more):
        if not isinstance(each, str) or not each.strip():
            raise ValueError(
                f"{each!r} is no key of KMS: give its ARN, its id, or an alias as 'alias/name'"
            )


def _check_url(url: str | None) -> None:
    if url is None:
        return
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"endpoint_url {url!r} is no http or https URL")
