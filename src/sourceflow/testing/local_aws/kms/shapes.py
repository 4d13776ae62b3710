"""Requests and answers of KMS's JSON protocol."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

__all__ = (
    "Alias",
    "Answer",
    "CreateKey",
    "Decrypt",
    "DeleteAlias",
    "Encrypt",
    "GenerateDataKey",
    "ListAliases",
    "Named",
    "Nothing",
    "PutKeyPolicy",
    "ScheduleKeyDeletion",
)

Ciphertext = Annotated[bytes, Meta(min_length=1, max_length=6_144)]
Plaintext = Annotated[bytes, Meta(min_length=1, max_length=4_096)]


class Request(msgspec.Struct, rename="pascal", kw_only=True):
    """Base of requests."""


class Nothing(Request, kw_only=True):
    """A request that says nothing, such as ListKeys."""


class Named(Request, kw_only=True):
    """A request about one key and nothing else."""

    key_id: str


class _Cryptographic(Request, kw_only=True):
    encryption_context: dict[str, str] = {}
    dry_run: bool = False


class CreateKey(Request, kw_only=True):
    """CreateKey, of keys that encrypt."""

    description: str = ""
    policy: str | None = None
    key_spec: str = "SYMMETRIC_DEFAULT"
    key_usage: str = "ENCRYPT_DECRYPT"


class PutKeyPolicy(Named, kw_only=True):
    """PutKeyPolicy."""

    policy: str


class ScheduleKeyDeletion(Named, kw_only=True):
    """ScheduleKeyDeletion."""

    pending_window_in_days: Annotated[int, Meta(ge=7, le=30)] = 30


class Alias(Request, kw_only=True):
    """CreateAlias and UpdateAlias."""

    alias_name: str
    target_key_id: str


class DeleteAlias(Request, kw_only=True):
    """DeleteAlias."""

    alias_name: str


class ListAliases(Request, kw_only=True):
    """ListAliases."""

    key_id: str | None = None


class GenerateDataKey(_Cryptographic, kw_only=True):
    """GenerateDataKey and GenerateDataKeyWithoutPlaintext."""

    key_id: str
    key_spec: Literal["AES_256", "AES_128"] | None = None
    number_of_bytes: Annotated[int, Meta(ge=1, le=1_024)] | None = None


class Encrypt(_Cryptographic, kw_only=True):
    """Encrypt."""

    key_id: str
    plaintext: Plaintext


class Decrypt(_Cryptographic, kw_only=True):
    """Decrypt."""

    ciphertext_blob: Ciphertext
    key_id: str | None = None


Answer = dict[str, Any]
"""What is written back."""
