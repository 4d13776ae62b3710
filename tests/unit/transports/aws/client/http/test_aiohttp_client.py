"""What only the client over aiohttp does: proxies, and naming its missing extra."""

from __future__ import annotations

import importlib.util
import sys

import aiohttp.web
import pytest

from sourceflow.errors import MissingExtraError
from sourceflow.transports.aws.client.http.aiohttp_client import AiohttpClient


async def test_a_proxy_of_the_environment_is_asked(monkeypatch, serving):
    async def proxy(request):
        return aiohttp.web.Response(text=f"{request.method} {request.raw_path}")

    async with serving(proxy) as address, AiohttpClient() as client:
        monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
        _, _, body = await client.post("http://sqs.test/", {}, b"x", 5)
    assert body == b"POST http://sqs.test/"


async def test_a_host_that_needs_no_proxy_is_asked_itself(monkeypatch, serving):
    async def handler(request):
        return aiohttp.web.Response(text="itself")

    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with serving(handler) as address, AiohttpClient() as client:
        _, _, body = await client.post(f"http://{address}/", {}, b"x", 5)
    assert body == b"itself"


def import_anew():
    spec = importlib.util.find_spec("sourceflow.transports.aws.client.http.aiohttp_client")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


def test_without_aiohttp_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(MissingExtraError, match=r"sourceflow\[aws\]"):
        import_anew()


def test_a_module_that_aiohttp_misses_is_not_called_aiohttp(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "aiohttp"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "multidict", None)
    with pytest.raises(ModuleNotFoundError, match="multidict"):
        import_anew()
