"""Which client reaches an address."""

from __future__ import annotations

import pytest

from sourceflow.transports.aws.client import DirectClient, open_http_client
from sourceflow.transports.aws.client.http.aiohttp_client import AiohttpClient

HERE, ELSEWHERE = "http://here.test/", "http://elsewhere.test/"


async def chosen(*urls):
    async with open_http_client(*urls) as client:
        return type(client)


async def test_without_a_proxy_the_connection_is_our_own():
    assert await chosen(HERE, ELSEWHERE) is DirectClient


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
async def test_a_proxy_is_left_to_aiohttp(monkeypatch, name):
    monkeypatch.setenv(name.lower(), "http://proxy.test:3128")
    assert await chosen(HERE) is AiohttpClient


async def test_a_proxy_for_another_scheme_does_not_count(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    assert await chosen(HERE) is DirectClient


async def test_a_host_that_needs_no_proxy_is_reached_directly(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "here.test")
    assert await chosen(HERE) is DirectClient


async def test_one_address_behind_a_proxy_is_enough(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    monkeypatch.setenv("no_proxy", "here.test")
    assert await chosen(HERE, ELSEWHERE) is AiohttpClient


async def test_the_limit_of_connections_is_passed_on():
    with pytest.raises(ValueError, match="not 0"):
        async with open_http_client(HERE, connections=0):
            pass
