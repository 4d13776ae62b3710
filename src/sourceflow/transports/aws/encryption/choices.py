"""What travels encrypted, and what must: worked out from the options and the bus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sourceflow.bus.changes import Destination

if TYPE_CHECKING:
    from sourceflow.transports.aws.bus import BusConfiguration, ListenedQueue
    from sourceflow.transports.aws.encryption.key_provider import KeyProvider
    from sourceflow.transports.aws.options import AwsOptions

__all__ = ("check_keys", "encrypted_destinations", "requires_encryption")


def encrypted_destinations(options: AwsOptions, bus: BusConfiguration) -> frozenset[Destination]:
    """Return the queues and topics whose messages travel encrypted; a route overrides the options."""
    queues = (Destination("queue", name) for name in bus.commands.values())
    topics = (Destination("topic", name) for name in bus.events.values())
    return frozenset(
        place for place in (*queues, *topics) if bus.encrypts.get(place, options.enable_encryption)
    )


def requires_encryption(options: AwsOptions, queue: ListenedQueue | None) -> bool:
    """Whether a queue takes encrypted messages only; None is an event queue."""
    if queue is None or queue.require_encryption is None:
        return options.require_encryption
    return queue.require_encryption


def check_keys(options: AwsOptions, bus: BusConfiguration, keys: KeyProvider | None) -> None:
    """Check that there is exactly one key service where one is needed.

    Raises:
        ValueError: There is none, or there are two.
    """
    if keys is not None and (options.kms_key_id is not None or options.decrypt_key_ids):
        raise ValueError(
            "the key service is either `keys` or AWS KMS: leave kms_key_id and decrypt_key_ids out"
        )
    if keys is not None:
        return
    encrypted = encrypted_destinations(options, bus)
    if options.kms_key_id is None and (options.enable_encryption or encrypted):
        what = ", ".join(sorted(map(str, encrypted))) or "what is sent"
        raise ValueError(f"there is no key to encrypt {what} with: give kms_key_id, or `keys`")
    if options.kms_key_id is None and options.encrypt_at_rest:
        raise ValueError(
            "encrypt_at_rest has no key to encrypt the stores with: give kms_key_id, or `keys`"
        )
    if options.kms_key_id is None and not options.decrypt_key_ids:
        _check_no_requirement(options, bus)


def _check_no_requirement(options: AwsOptions, bus: BusConfiguration) -> None:
    queues = [queue.name for queue in bus.command_queues if requires_encryption(options, queue)]
    if options.require_encryption or queues:
        what = ", ".join(queues) or "what is received"
        raise ValueError(
            f"{what} is required to be encrypted, and there is no key to decrypt it with: give "
            "kms_key_id, decrypt_key_ids, or `keys`"
        )
