"""HTTP by aiohttp, which knows proxies."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Self

from sourceflow.errors import AwsConfigurationError, AwsTransientError, MissingExtraError
from sourceflow.transports.aws.client.http.port import CONNECT_TIMEOUT, CONNECTIONS, USER_AGENT
from sourceflow.transports.aws.client.http.proxies import proxy_of

try:
    import aiohttp
except ModuleNotFoundError as error:
    if error.name != "aiohttp":
        raise
    raise MissingExtraError("aws", "aiohttp") from error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from types import TracebackType

    from sourceflow.transports.aws.client.http.port import Answer

__all__ = ("AiohttpClient",)

#: aiohttp warns about larger bodies unless they come as a stream.
_LARGE_BODY = 2**20


class AiohttpClient:
    """``HttpClient`` over aiohttp, with a pool of connections of its own.

    Proxies come from the environment, read once for each address (``HTTPS_PROXY``, ``NO_PROXY``).

    Args:
        connections: The most connections that are open at a time.
        tls: How servers are verified; None trusts the system's authorities.
    """

    __slots__ = ("_connections", "_proxies", "_session", "_tls")

    def __init__(
        self, *, connections: int = CONNECTIONS, tls: ssl.SSLContext | None = None
    ) -> None:
        if connections <= 0:
            raise ValueError(f"connections must be positive, not {connections}")
        self._connections = connections
        self._tls = tls
        self._proxies: dict[str, str | None] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,  # noqa: ASYNC109 - every implementation can bound a request better than a cancellation from outside
    ) -> Answer:
        """Post a body; see ``HttpClient.post``."""
        session = self._session or self._open()
        try:
            async with session.post(
                url,
                headers=headers,
                data=body if len(body) <= _LARGE_BODY else io.BytesIO(body),
                timeout=_timeouts(timeout),
                proxy=self._proxy(url),
                allow_redirects=False,
            ) as answer:
                return answer.status, answer.headers, await answer.read()
        except TimeoutError as error:
            raise AwsTransientError(f"no answer within {timeout:g} s", code="Timeout") from error
        except aiohttp.ClientConnectorCertificateError as error:
            raise AwsConfigurationError(str(error), code="UntrustedCertificate") from error
        except (aiohttp.ClientError, OSError) as error:
            raise AwsTransientError(
                str(error) or type(error).__name__, code="ConnectionFailed"
            ) from error
        except (
            ValueError
        ) as error:  # raised for a line end inside a header, before anything is sent
            raise AwsConfigurationError(str(error), code="InvalidHeader") from error

    async def aclose(self) -> None:
        """Close the connections; a later ``post`` opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections, ssl=self._tls or True),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Only what is signed, and who asks: AWS needs no more, and each header costs time.
            skip_auto_headers=("Accept", "Accept-Encoding"),
            headers={"User-Agent": USER_AGENT},
        )
        return self._session

    def _proxy(self, url: str) -> str | None:
        # aiohttp's trust_env would read the environment and ~/.netrc anew for each request, and might
        # replace the signature by a password from there.
        try:
            return self._proxies[url]
        except KeyError:
            proxy = self._proxies[url] = proxy_of(url)
            return proxy


@lru_cache(maxsize=64)
def _timeouts(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_TIMEOUT))
