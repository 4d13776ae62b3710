"""Signature Version 4, for requests of which only the body and the time differ."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from sourceflow.transports.aws.client.http.address import Address

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sourceflow.transports.aws.client.credentials import Credentials

__all__ = ("RequestTemplate", "Signer", "signing_key")

_DATE = "x-amz-date"


@dataclass(frozen=True, slots=True, eq=False)
class RequestTemplate:
    """What all requests of one operation share: a POST to one address with the same headers.

    Attributes:
        url: Where it goes; without a query.
        headers: What is sent and signed besides the host, the date and the session token.
    """

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Prepared:
    """All of a signature that depends on neither the body nor the time of day."""

    credentials: Credentials
    date: str
    keyed: hmac.HMAC
    """Takes the key in advance; each signature goes on from a copy."""
    headers: dict[str, str]
    head: str
    """The canonical request up to the time."""
    tail: str
    """The canonical request from there to the hash of the body."""
    scope: str
    authorization: str
    """The header up to the signature."""


class Signer:
    """Signs requests to one service in one region.

    The algorithm is AWS's, "Create a signed AWS API request". Per request it costs two hashes and one
    HMAC; the rest, the signing key included, is kept for each operation until the date or the
    credentials change.
    """

    __slots__ = ("_prepared", "_region", "_second", "_service", "_timestamp")

    def __init__(self, *, service: str, region: str) -> None:
        self._service = service
        self._region = region
        self._second = 0
        self._timestamp = "19700101T000000Z"
        self._prepared: dict[RequestTemplate, _Prepared] = {}

    def sign(
        self, template: RequestTemplate, body: bytes, credentials: Credentials, time: datetime
    ) -> dict[str, str]:
        """Return the headers to send.

        Args:
            template: The operation. Keep it: what is prepared for it is found by its identity.
            body: What is sent.
            credentials: Whose request it is.
            time: The present, in UTC, as AWS sees it.
        """
        timestamp = self._format(time)
        date = timestamp[:8]
        prepared = self._prepared.get(template)
        if prepared is None or prepared.credentials is not credentials or prepared.date != date:
            prepared = self._prepared[template] = self._prepare(template, credentials, date)
        canonical = f"{prepared.head}{timestamp}{prepared.tail}{sha256(body).hexdigest()}"
        to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{prepared.scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = prepared.keyed.copy()
        signature.update(to_sign.encode())
        headers = prepared.headers.copy()
        headers["X-Amz-Date"] = timestamp
        headers["Authorization"] = prepared.authorization + signature.hexdigest()
        return headers

    def _format(self, time: datetime) -> str:
        second = int(time.timestamp())
        if second != self._second:
            self._second, self._timestamp = second, time.strftime("%Y%m%dT%H%M%SZ")
        return self._timestamp

    def _key(self, credentials: Credentials, date: str) -> bytes:
        return signing_key(
            credentials.secret_key, date=date, region=self._region, service=self._service
        )

    def _prepare(self, template: RequestTemplate, credentials: Credentials, date: str) -> _Prepared:
        headers = {**template.headers, "Host": Address.of(template.url).authority}
        if credentials.token is not None:
            headers["X-Amz-Security-Token"] = credentials.token
        signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        before = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed) if name < _DATE)
        after = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed) if name > _DATE)
        names = ";".join(sorted((*signed, _DATE)))
        scope = f"{date}/{self._region}/{self._service}/aws4_request"
        return _Prepared(
            credentials=credentials,
            date=date,
            keyed=hmac.new(self._key(credentials, date), digestmod="sha256"),
            headers=headers,
            head=f"POST\n{_path(template.url)}\n\n{before}{_DATE}:",
            tail=f"\n{after}\n{names}\n",
            scope=scope,
            authorization=(
                f"AWS4-HMAC-SHA256 Credential={credentials.access_key}/{scope}, "
                f"SignedHeaders={names}, Signature="
            ),
        )


def signing_key(secret_key: str, *, date: str, region: str, service: str) -> bytes:
    """Derive the key that signs the requests of one day to one service in one region.

    Args:
        secret_key: The secret of the credentials.
        date: The day, ``YYYYMMDD`` in UTC.
        region: The region's name.
        service: The name that the service is signed for.
    """
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _path(url: str) -> str:
    """Return the path as it is signed: without dot segments and double slashes, percent-encoded once more."""
    path = urlsplit(url).path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    normal = "/" + "/".join(kept)
    if kept and path.endswith("/"):
        normal += "/"
    return quote(normal, safe="/~")
