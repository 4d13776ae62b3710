"""The keys of one account in one region, by id, ARN and alias."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sourceflow.testing.local_aws.errors import AwsFault
from sourceflow.testing.local_aws.ids import new_id
from sourceflow.testing.local_aws.kms.key import Key

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("Keys",)

_ALIAS: Final = re.compile(r"alias/[A-Za-z0-9/_-]{1,250}")
_OF_AWS: Final = "alias/aws/"
_ARN: Final = re.compile(r"arn:aws:kms:([^:]*):([^:]*):(key/(?!alias/)|(?=alias/))(.+)")
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Keys:
    """Makes and finds keys, and holds their aliases.

    Args:
        region: The region.
        account_id: The account.
    """

    def __init__(self, *, region: str, account_id: str) -> None:
        self._region = region
        self._account_id = account_id
        self._keys: dict[str, Key] = {}
        self._aliases: dict[str, str] = {}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys.values())

    def create(self, now: float, *, description: str = "", policy: str | None = None) -> Key:
        """Make a key."""
        key_id = new_id()
        arn = self._arn_of(f"key/{key_id}")
        key = Key(id=key_id, arn=arn, created=now, description=description, policy=policy)
        self._keys[key_id] = key
        return key

    def find(self, name: str) -> Key:
        """Return the key of an id, an ARN, an alias or an alias' ARN.

        Raises:
            AwsFault: There is none.
        """
        local = self._local(name)
        if not local.startswith("alias/"):
            return self.of_id(local)
        key_id = self._aliases.get(local)
        if key_id is None:
            raise _not_found(f"Alias {self._arn_of(local)} is not found.")
        return self.of_id(key_id)

    def of_id(self, name: str) -> Key:
        """Return the key of an id or an ARN: who manages keys may not name them by an alias.

        Raises:
            AwsFault: There is none.
        """
        local = self._local(name)
        key = self._keys.get(local)
        if key is not None:
            return key
        if not _ID.fullmatch(local):
            raise _not_found(f"Invalid keyId '{local}'")
        raise _not_found(f"Key '{self._arn_of(f'key/{local}')}' does not exist")

    def delete_due(self, now: float) -> None:
        """Delete the keys whose time has come, with their aliases."""
        for key in list(self):
            if key.deletion is not None and key.deletion <= now:
                del self._keys[key.id]
                for alias in self.aliases_of(key):
                    del self._aliases[alias]

    def create_alias(self, alias: str, key: Key) -> None:
        """Give a key an alias.

        Raises:
            AwsFault: It is no name for one, or taken, or the key is about to be deleted.
        """
        _check_alias(alias)
        if alias in self._aliases:
            raise AwsFault(
                "AlreadyExistsException",
                f"An alias with the name {self._arn_of(alias)} already exists",
            )
        key.check_stays()
        self._aliases[alias] = key.id

    def move_alias(self, alias: str, key: Key) -> None:
        """Let an alias lead to another key.

        Raises:
            AwsFault: There is no such alias, or the key is about to be deleted.
        """
        self._check_exists(alias)
        key.check_stays()
        self._aliases[alias] = key.id

    def delete_alias(self, alias: str) -> None:
        """End an alias; the key stays.

        Raises:
            AwsFault: There is no such alias.
        """
        self._check_exists(alias)
        del self._aliases[alias]

    def aliases_of(self, key: Key | None = None) -> list[str]:
        """Return the aliases of one key or of all, sorted."""
        return sorted(
            alias for alias, key_id in self._aliases.items() if key is None or key_id == key.id
        )

    def alias_arn(self, alias: str) -> str:
        """Return the ARN of an alias, whether there is one or not."""
        return self._arn_of(alias)

    def described(self, alias: str) -> dict[str, str]:
        """Return what KMS says of an alias."""
        return {
            "AliasName": alias,
            "AliasArn": self._arn_of(alias),
            "TargetKeyId": self._aliases[alias],
        }

    def _local(self, name: str) -> str:
        """Return what an ARN names here, or the name as it is.

        Raises:
            AwsFault: The ARN is of another region or account.
        """
        if not name.startswith("arn:"):
            return name
        match = _ARN.fullmatch(name)
        if match is None:
            raise AwsFault("InvalidArnException", f"Invalid arn {name}")
        region, account_id, _, local = match.groups()
        if region != self._region:
            raise _not_found(f"Invalid arn {region}")
        if account_id != self._account_id:
            raise AwsFault(
                "AccessDeniedException",
                "The key does not exist, or you are not allowed to access it.",
            )
        return local

    def _check_exists(self, alias: str) -> None:
        _check_alias(alias)
        if alias not in self._aliases:
            raise _not_found(f"Alias {self._arn_of(alias)} is not found.")

    def _arn_of(self, what: str) -> str:
        return f"arn:aws:kms:{self._region}:{self._account_id}:{what}"


def _check_alias(alias: str) -> None:
    if not alias.startswith("alias/"):
        raise AwsFault("ValidationException", 'Alias must start with the prefix "alias/".')
    if not _ALIAS.fullmatch(alias):
        raise AwsFault("ValidationException", f"{alias!r} is no name of an alias.")
    if alias.startswith(_OF_AWS):
        raise AwsFault("NotAuthorizedException", f"Aliases in {_OF_AWS} are those of AWS.")


def _not_found(message: str) -> AwsFault:
    return AwsFault("NotFoundException", message)
