"""Signature Version 4, checked as AWS checks it."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from sourceflow.testing.local_aws.errors import AwsFault

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ("SignatureCheck", "Signed")

MAX_SKEW: Final = 15 * 60.0
"""Seconds that a request's date may differ (AWS General Reference, "Signing AWS API requests")."""

_ALWAYS_SIGNED: Final = ("host", "x-amz-date")
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/, ]+)/(?P<date>\d{8})/(?P<region>[^/, ]+)/"
    r"(?P<service>[^/, ]+)/aws4_request, ?SignedHeaders=(?P<headers>[a-z0-9;-]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


class Signed:
    """What a good signature says.

    Attributes:
        access_key: Whose request it is.
        service: The service it is signed for.
        region: The region it is signed for.
    """

    __slots__ = ("access_key", "region", "service")

    def __init__(self, access_key: str, service: str, region: str) -> None:
        self.access_key = access_key
        self.service = service
        self.region = region


class SignatureCheck:
    """Checks requests; signing keys are worked out once a day, region and service.

    Args:
        credentials: Access key id to secret.
    """

    def __init__(self, credentials: Mapping[str, str]) -> None:
        self._credentials = dict(credentials)
        self._keys: dict[tuple[str, str, str, str], bytes] = {}
        self._last = ("", 0.0)

    def check(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        body: bytes,
        now: float,
    ) -> Signed:
        """Check a request.

        Args:
            method: The HTTP method.
            path: The path, as it was sent.
            query: The query string, as it was sent.
            headers: Headers, looked up without regard to case.
            body: The body.
            now: Seconds since 1970 by the clock of the tests. The time of day counts as well: a
                client that is not told of that clock signs by its own.

        Raises:
            AwsFault: It is not signed, or not with these credentials, or too old.
        """
        authorization = headers.get("Authorization")
        if authorization is None:
            raise AwsFault(
                "MissingAuthenticationToken", "Request is missing Authentication Token", status=403
            )
        match = _AUTHORIZATION.fullmatch(authorization)
        if match is None:
            raise AwsFault(
                "IncompleteSignature", "Authorization header is not one of SigV4.", status=400
            )
        key, date, region, service, names, signature = match.groups()
        secret = self._credentials.get(key)
        if secret is None:
            raise AwsFault(
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
                status=403,
            )
        for name in _ALWAYS_SIGNED:
            if name not in names.split(";"):
                raise AwsFault(
                    "SignatureDoesNotMatch", f"The header '{name}' must be signed.", status=403
                )
        stamp = headers.get("X-Amz-Date", "")
        self._check_age(stamp, date, now)
        canonical = _canonical(method, path, query, headers, names, body)
        scope = f"{date}/{region}/{service}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical).hexdigest()}"
        signing_key = self._signing_key(secret, date, region, service)
        expected = hmac.new(signing_key, to_sign.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, signature):
            raise AwsFault(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method. Consult the service "
                "documentation for details.",
                status=403,
            )
        return Signed(key, service, region)

    def _check_age(self, stamp: str, date: str, now: float) -> None:
        signed = self._seconds(stamp)
        if not stamp.startswith(date):
            raise AwsFault(
                "SignatureDoesNotMatch", "Date in Credential scope does not match.", status=403
            )
        if min(abs(signed - now), abs(signed - time.time())) > MAX_SKEW:
            when = "expired" if signed < now else "not yet current"
            raise AwsFault(
                "SignatureDoesNotMatch",
                f"Signature {when}: {stamp} is too far from now.",
                status=403,
            )

    def _seconds(self, stamp: str) -> float:
        if stamp != self._last[0]:
            try:
                signed = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            except ValueError:
                raise AwsFault(
                    "IncompleteSignature", "X-Amz-Date is missing or not a date.", status=400
                ) from None
            self._last = (stamp, signed.timestamp())
        return self._last[1]

    def _signing_key(self, secret: str, date: str, region: str, service: str) -> bytes:
        place = (secret, date, region, service)
        key = self._keys.get(place)
        if key is None:
            key = f"AWS4{secret}".encode()
            for part in (date, region, service, "aws4_request"):
                key = hmac.new(key, part.encode(), hashlib.sha256).digest()
            if len(self._keys) > 1_000:  # noqa: PLR2004 - a bound, reached by attack only
                self._keys.clear()
            self._keys[place] = key
        return key


def _canonical(
    method: str, path: str, query: str, headers: Mapping[str, str], names: str, body: bytes
) -> bytes:
    lines = "".join(
        f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in names.split(";")
    )
    digest = hashlib.sha256(body).hexdigest()
    return (
        f"{method}\n{_canonical_path(path)}\n{_canonical_query(query)}\n{lines}\n{names}\n{digest}"
    ).encode()


def _canonical_path(path: str) -> str:
    return path if path == "/" else quote(path, safe="/~-._")


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = (pair.partition("=") for pair in query.split("&"))
    encoded = sorted(
        (quote(unquote(name), safe="~-._"), quote(unquote(value), safe="~-._"))
        for name, _, value in pairs
    )
    return "&".join(f"{name}={value}" for name, value in encoded)
