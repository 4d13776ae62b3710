"""Whatever is asked in whatever order, every service answers as a simple model does."""

from __future__ import annotations

import asyncio
import secrets
from datetime import timedelta

import asyncpg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from postgres_server import postgres_url

from sourceflow import ClaimState
from sourceflow.bus.ports import KeyClaim
from sourceflow.stores.memory import InMemoryIdempotency
from sourceflow.stores.sql import SqlIdempotency
from sourceflow.testing.clock import ManualClock


class Keys(RuleBasedStateMachine):
    """A simple model beside the service: what it says of each key is what the model says."""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = ManualClock()
        self.tokens = [""]
        self.model = {}
        self.service = self.open()

    def open(self):
        """Return a service that knows no keys."""
        raise NotImplementedError

    def run(self, work):
        return self.runner.run(work)

    def entry(self, key):
        """The owner of a key (None: processed) and the end of that; None where there is nothing."""
        owner, until = self.model.get(key, (None, 0.0))
        return (owner, until) if until > self.now else None

    @property
    def now(self):
        return self.clock.monotonic()

    keys = st.sampled_from("abc")
    spans = st.integers(1, 100).map(lambda seconds: timedelta(seconds=seconds))
    whose = st.integers(0, 5)

    @rule(key=keys, lease=spans)
    def claim(self, key, lease):
        claim = self.run(self.service.claim(key, lease))
        match self.entry(key):
            case None:
                assert claim.state is ClaimState.CLAIMED
                assert claim.token not in self.tokens
                self.tokens.append(claim.token)
                self.model[key] = (claim.token, self.now + lease.total_seconds())
            case (None, _):
                assert claim == KeyClaim(ClaimState.DONE)
            case (_, until):
                remaining = timedelta(seconds=until - self.now)
                assert claim == KeyClaim(ClaimState.IN_PROGRESS, remaining=remaining)

    def owner(self, key, whose):
        """One of the last tokens, and whether it is the owner's: also if the lease has ended."""
        token = self.tokens[-1 - whose % len(self.tokens)]
        return token, token != "" and self.model.get(key, (None, 0))[0] == token

    @rule(key=keys, whose=whose, lease=spans)
    def extend(self, key, whose, lease):
        token, is_owner = self.owner(key, whose)
        assert self.run(self.service.extend(key, lease, token=token)) is is_owner
        if is_owner:
            self.model[key] = (token, self.now + lease.total_seconds())

    @rule(key=keys, whose=whose, ttl=spans)
    def complete(self, key, whose, ttl):
        token, is_owner = self.owner(key, whose)
        assert self.run(self.service.complete(key, ttl, token=token)) is is_owner
        if is_owner:
            self.model[key] = (None, self.now + ttl.total_seconds())

    @rule(key=keys, whose=whose)
    def release(self, key, whose):
        token, is_owner = self.owner(key, whose)
        assert self.run(self.service.release(key, token=token)) is is_owner
        if is_owner:
            del self.model[key]

    @rule(key=keys, ttl=spans)
    def mark(self, key, ttl):
        self.run(self.service.mark_as_processed(key, ttl))
        self.model[key] = (None, self.now + ttl.total_seconds())

    @rule(key=keys)
    def remove(self, key):
        self.run(self.service.remove(key))
        self.model.pop(key, None)

    @rule(key=keys)
    def has_processed(self, key):
        entry = self.entry(key)
        processed = entry is not None and entry[0] is None
        assert self.run(self.service.has_processed(key)) is processed

    @rule(by=spans)
    def wait(self, by):
        self.run(self.clock.advance(by))

    @rule()
    def clean(self):
        over = [key for key in self.model if self.entry(key) is None]
        assert self.run(self.service.clean()) == len(over)
        for key in over:
            del self.model[key]

    @rule()
    def statistics(self):
        assert self.run(self.service.statistics()).cache_size == len(self.model)

    def teardown(self):
        self.runner.close()


class MemoryKeys(Keys):
    def open(self):
        return InMemoryIdempotency(clock=self.clock)


class SqliteKeys(Keys):
    def open(self):
        return self.run(SqlIdempotency("sqlite://", clock=self.clock).__aenter__())

    def teardown(self):
        self.run(self.service.__aexit__())
        super().teardown()


class PostgresKeys(SqliteKeys):
    def open(self):
        self.schema = f"t{secrets.token_hex(8)}"
        service = SqlIdempotency(postgres_url(), schema=self.schema, clock=self.clock)
        return self.run(service.__aenter__())

    async def drop(self):
        connection = await asyncpg.connect(postgres_url())
        await connection.execute(f"DROP SCHEMA {self.schema} CASCADE")
        await connection.close()

    def teardown(self):
        self.run(self.drop())
        super().teardown()


TestMemoryKeys = MemoryKeys.TestCase
TestMemoryKeys.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestSqliteKeys = SqliteKeys.TestCase
TestSqliteKeys.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
TestPostgresKeys = PostgresKeys.TestCase
TestPostgresKeys.pytestmark = [pytest.mark.postgresql]
TestPostgresKeys.settings = settings(max_examples=15, stateful_step_count=40, deadline=None)
