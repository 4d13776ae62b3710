"""Whom the clients trust: a chain of root, intermediate and leaf, and everything that is wrong with others."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
import warnings

import aiohttp.web
import pytest
import trustme

from sourceflow.errors import AwsConfigurationError, AwsTransientError
from sourceflow.transports.aws.client import DirectClient, open_http_client
from sourceflow.transports.aws.client.http.aiohttp_client import AiohttpClient
from sourceflow.transports.aws.client.http.tls import load_tls_context, make_tls_context

DAY = dt.timedelta(days=1)


@pytest.fixture(params=[AiohttpClient, DirectClient])
async def client(request, authorities):
    async with request.param(tls=authorities.trusted) as client:
        yield client


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))


async def echo(request):
    return aiohttp.web.Response(body=await request.read())


async def refused(client, address):
    with pytest.raises(AwsConfigurationError) as caught:
        await client.post(f"https://{address}/", {}, b"x", 5)
    assert caught.value.code == "UntrustedCertificate"
    return str(caught.value)


async def test_a_chain_up_to_the_trusted_root_is_accepted(client, serving, authorities):
    async with serving(echo, tls=authorities.serving()) as address:
        for body in (b"x", b"y" * 2**21):
            _, _, answered = await client.post(f"https://{address}/", {}, body, 5)
            assert answered == body


async def test_a_certificate_for_another_host_is_refused(client, serving, authorities):
    async with serving(echo, tls=authorities.serving("elsewhere.test")) as address:
        assert "127.0.0.1" in await refused(client, address)


async def test_a_certificate_for_the_name_is_accepted_under_that_name_only(
    client, serving, authorities
):
    async with serving(echo, tls=authorities.serving("localhost")) as address:
        port = address.rpartition(":")[2]
        _, _, body = await client.post(f"https://localhost:{port}/", {}, b"x", 5)
        assert body == b"x"
        await refused(client, address)


async def test_an_expired_certificate_is_refused(client, serving, authorities):
    yesterday = dt.datetime.now(dt.UTC) - DAY
    expired = authorities.serving(not_before=yesterday - DAY, not_after=yesterday)
    async with serving(echo, tls=expired) as address:
        assert "expired" in await refused(client, address)


async def test_a_certificate_of_an_unknown_root_is_refused(client, serving, authorities):
    async with serving(echo, tls=authorities.serving(issuer=trustme.CA())) as address:
        await refused(client, address)


@pytest.mark.parametrize("kind", [AiohttpClient, DirectClient])
async def test_without_a_context_the_systems_authorities_are_trusted_and_no_others(
    kind, serving, authorities
):
    async with serving(echo, tls=authorities.serving()) as address, kind() as client:
        await refused(client, address)


async def test_a_server_that_speaks_plaintext_on_a_tls_port_is_a_passing_fault(client, serving):
    async with serving(echo) as address:
        with pytest.raises(AwsTransientError) as caught:
            await client.post(f"https://{address}/", {}, b"x", 5)
    assert caught.value.code == "ConnectionFailed"


async def test_a_handshake_that_does_not_end_is_a_passing_fault(client, talking):
    async def say_nothing(reader, writer):
        await reader.read()

    async with talking(say_nothing) as address:
        with pytest.raises(AwsTransientError) as caught:
            await client.post(f"https://{address}/", {}, b"x", 0.1)
    assert caught.value.code == "Timeout"


async def test_a_server_older_than_tls_1_2_is_refused(client, serving, authorities):
    old = authorities.serving()
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # for servers; it is a server that is wanted
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(echo, tls=old) as address:
        with pytest.raises(AwsTransientError) as caught:
            await client.post(f"https://{address}/", {}, b"x", 5)
    assert caught.value.code == "ConnectionFailed"


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
@pytest.mark.parametrize("proxied", [False, True])
async def test_the_bundle_that_the_environment_names_is_trusted(
    monkeypatch, serving, authorities, name, proxied
):
    monkeypatch.setenv(name, str(authorities.bundle))
    async with serving(echo, tls=authorities.serving()) as address:
        urls = [f"https://{address}/"]
        if (
            proxied
        ):  # for another address: this one is reached directly, by the client that knows proxies
            monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            urls.append("https://elsewhere.test/")
        async with open_http_client(*urls) as client:
            assert isinstance(client, AiohttpClient) == proxied
            _, _, body = await client.post(f"https://{address}/", {}, b"x", 5)
    assert body == b"x"


async def test_the_bundle_of_the_aws_files_is_trusted_before_that_of_requests(
    monkeypatch, tmp_path, serving, authorities
):
    (tmp_path / "config").write_text(f"[default]\nca_bundle = {authorities.bundle}\n")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    async with (
        serving(echo, tls=authorities.serving()) as address,
        DirectClient(tls=await load_tls_context()) as client,
    ):
        _, _, body = await client.post(f"https://{address}/", {}, b"x", 5)
    assert body == b"x"


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_that_cannot_be_read_is_a_matter_of_configuration(tmp_path, content):
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(AwsConfigurationError, match="AWS_CA_BUNDLE") as caught:
        make_tls_context(str(bundle))
    assert caught.value.code == "InvalidCaBundle"


async def test_an_unknown_profile_is_a_matter_of_configuration(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AwsConfigurationError, match="nobody"):
        await load_tls_context()


async def test_closing_waits_until_the_sockets_of_tls_connections_are_closed(authorities, talking):
    ended = asyncio.Event()

    async def answer_and_wait(reader, writer):
        await reader.readuntil(b"\r\n\r\nx")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        ended.set()

    async with talking(answer_and_wait, tls=authorities.serving()) as address:
        async with DirectClient(tls=authorities.trusted) as client:
            await client.post(f"https://{address}/", {}, b"x", 5)
        await ended.wait()
