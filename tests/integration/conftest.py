"""What integration tests share: the examples as modules, and the two backends."""

from __future__ import annotations

import importlib.util
import secrets
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from encrypted_stores import EncryptedStores
from postgres_server import POSTGRESQL, own_schema, postgres_url

from sourceflow.stores.memory import MemoryStores
from sourceflow.stores.sql.stores import SqlStores
from sourceflow.transports.aws import AwsOptions, AwsTransport, LocalKeyProvider
from sourceflow.transports.aws.client import StaticCredentials

if TYPE_CHECKING:
    from sourceflow.testing import LocalAws

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Backend:
    """An AWS to test against, and names that are this test's own."""

    endpoint_url: str
    credentials: StaticCredentials
    prefix: str
    local: LocalAws | None = None

    def transport(self, configure, **options):
        return AwsTransport(
            AwsOptions(
                **{
                    "region": "us-east-1",
                    "endpoint_url": self.endpoint_url,
                    "resource_prefix": self.prefix,
                    "wait_time": timedelta(seconds=1),
                    **options,
                }
            ),
            configure,
            credentials=self.credentials,
        )


@pytest.fixture
def on_local_aws(local_aws):
    return Backend(local_aws.endpoint_url, local_aws.static_credentials(), "", local_aws)


@pytest.fixture(params=["local_aws", pytest.param("localstack", marks=pytest.mark.localstack)])
def backend(request):
    if request.param == "local_aws":
        return request.getfixturevalue("on_local_aws")
    url = request.getfixturevalue("localstack_url")
    return Backend(url, StaticCredentials("test", "test"), f"it-{secrets.token_hex(4)}-")


@pytest.fixture(scope="session")
def bank():
    """The bank example as a module."""
    return load("bank", EXAMPLES / "bank" / "bank.py")


def load(name, path):
    """Import a file as a module, once."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(params=["memory", "sqlite", POSTGRESQL, "encrypted"])
async def stores(request, tmp_path):
    """Returns stores that keep the same data each time."""
    match request.param:
        case "memory":
            kept = MemoryStores()
            yield lambda: kept
        case "sqlite":
            yield lambda: SqlStores(f"sqlite:///{tmp_path / 'orders.db'}")
        case "encrypted":
            keys = LocalKeyProvider()
            yield lambda: EncryptedStores(f"sqlite:///{tmp_path / 'orders.db'}", keys)
        case _:
            async with own_schema() as schema:
                yield lambda: SqlStores(postgres_url(), schema=schema)
