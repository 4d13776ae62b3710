"""Settings of a file and of the environment: read, merged, refused."""

from __future__ import annotations

import functools
import subprocess
import sys
from datetime import timedelta

import pytest

from sourceflow import Command, Entity, Event, HealthOptions, Key, Saga, handles
from sourceflow.errors import SettingsError
from sourceflow.settings import Settings
from sourceflow.stores.memory import InMemoryIdempotency, MemoryStores
from sourceflow.stores.sql import SqlIdempotency, SqlStores
from sourceflow.telemetry.otel import Telemetry
from sourceflow.transports.aws.bus import ListenedQueue, SubscribedTopic, configure_bus

SECRET = "hunter2"


class Go(Command, name="travel.go"):
    id: Key[str]


class Gone(Event):
    id: Key[str]


class Traveller(Entity):
    id: Key[str]


class Travels(Saga[Traveller]):
    @handles
    def go(self, command: Go) -> Traveller:
        self.raise_event(Gone(id=command.id))
        return Traveller(id=command.id)


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Writes a file and reads it as settings."""
    monkeypatch.chdir(tmp_path)

    def read(text):
        (tmp_path / "shop.toml").write_text(text)
        return Settings.from_toml("shop.toml")

    return read


def env(prefix="SOURCEFLOW_", **variables):
    return Settings.from_env(
        prefix, environment={f"{prefix}{name}": value for name, value in variables.items()}
    )


def refusal(make, *arguments, **options):
    with pytest.raises(SettingsError) as caught:
        make(*arguments, **options)
    assert SECRET not in str(caught.value)
    return str(caught.value)


FILE = """
[app]
name = "travel"

[aws]
region = "eu-central-1"
wait_time = "5 s"
circuit_breaker = { failures = 3 }

[aws.dead_letter_monitor]

[bus.commands]
"travel.go" = "go.fifo"

[bus.events]
Gone = { topic = "gone", encrypt = false }

[bus.command_queues."go.fifo"]
timeout = "PT3S"

[bus]
topics = ["gone"]

[stores]
url = "sqlite:///travel.db"
"""


def test_a_file_describes_a_whole_app(read):
    settings = read(FILE)

    assert settings.name == "travel"
    assert settings.aws.wait_time == timedelta(seconds=5)
    assert settings.aws.circuit_breaker.failures == 3
    assert settings.aws.dead_letter_monitor is not None
    assert isinstance(settings.stores(), SqlStores)
    transport = settings.transport([Travels])
    assert transport.options == settings.aws
    assert transport.routes.commands == {Go: "go.fifo"}
    assert transport.routes.events == {Gone: "gone"}
    bus = configure_bus(settings.bus([Go, Gone]))
    assert bus.command_queues == (ListenedQueue(name="go.fifo", timeout=timedelta(seconds=3)),)
    assert bus.topics == (SubscribedTopic(name="gone"),)


def test_the_environment_says_the_same():
    settings = env(
        APP_NAME="travel",
        AWS_REGION="eu-central-1",
        AWS_WAIT_TIME="5 s",
        AWS_CIRCUIT_BREAKER_FAILURES="3",
        AWS_DEAD_LETTER_MONITOR="true",
        AWS_DECRYPT_KEY_IDS="alias/a, alias/b",
        AWS_STRICT_ORDER="yes",
        BUS_COMMANDS='{"travel.go": "go.fifo"}',
        BUS_COMMAND_QUEUES="go.fifo, more.fifo",
        STORES_URL="memory",
    )

    assert settings.name == "travel"
    assert settings.aws.circuit_breaker.failures == 3
    assert settings.aws.dead_letter_monitor is not None
    assert settings.aws.decrypt_key_ids == ("alias/a", "alias/b")
    assert settings.aws.strict_order
    assert isinstance(settings.stores(), MemoryStores)
    assert settings.transport([Travels]).routes.listens == ("go.fifo", "more.fifo")


def test_the_right_operand_wins_option_by_option(read):
    settings = read(FILE) | env(
        AWS_CIRCUIT_BREAKER_OPEN_FOR="1 min",
        AWS_WAIT_TIME="7 s",
        AWS_DEAD_LETTER_MONITOR="none",
        BUS_COMMAND_QUEUES="more.fifo",
    )

    assert settings.aws.circuit_breaker.failures == 3
    assert settings.aws.circuit_breaker.open_for == timedelta(minutes=1)
    assert settings.aws.wait_time == timedelta(seconds=7)
    assert settings.aws.dead_letter_monitor is None
    assert settings.transport([Travels]).routes.listens == ("go.fifo", "more.fifo")


def test_none_and_nothing_are_two_things(read):
    settings = read('[aws]\nregion = "x"\nkms_key_id = "alias/a"\n')

    assert (settings | env(AWS_KMS_KEY_ID="none")).aws.kms_key_id is None
    assert (settings | env(AWS_KMS_KEY_ID="")).aws.kms_key_id == "alias/a"


def test_a_prefix_of_ones_own_is_used(read):
    assert env("SHOP_", AWS_REGION="eu-west-1").aws.region == "eu-west-1"
    assert repr(Settings.from_env("SHOP_", environment={"SOURCEFLOW_AWS_REGION": "x"})) == (
        "<Settings of nothing>"
    )
    with pytest.raises(ValueError, match="a prefix is needed"):
        Settings.from_env("")


def test_the_environment_of_the_process_is_read_where_no_other_is_given(monkeypatch):
    monkeypatch.setenv("SOURCEFLOW_AWS_REGION", "eu-west-3")

    assert Settings.from_env().aws.region == "eu-west-3"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[aws]\nregoin = 1", "shop.toml: aws.regoin is no option, did you mean region?"),
        ("[awz]", "shop.toml: there is no table [awz], did you mean aws?"),
        (
            "[zzz]",
            (
                "shop.toml: there is no table [zzz]: there are app, aws, bus, stores, "
                "idempotency, health, telemetry"
            ),
        ),
        ("aws = 1", "shop.toml: aws is a table: write [aws]"),
        (
            "[aws.circuit_breaker]\nfailure = 1",
            "shop.toml: aws.circuit_breaker.failure is no option, did you mean failures?",
        ),
        (
            "[bus]\ncomands = {}",
            "shop.toml: bus.comands is no option, did you mean commands?",
        ),
        (
            "[bus.command_queues.a]\ntimout = '3s'",
            (
                "shop.toml: bus.command_queues: the entry 'a' has no option 'timout', did you "
                "mean 'timeout'?"
            ),
        ),
        (
            "[bus.topics.a]\nxyz = 3",
            "shop.toml: bus.topics: the entry 'a' has no option 'xyz': there are filter",
        ),
        ("[stores]\nurls = 'x'", "shop.toml: stores.urls is no option, did you mean url?"),
        ("[aws\n", "shop.toml is no TOML: see at line 1, column 5"),
    ],
)
def test_a_misspelt_name_is_told_with_the_right_one(read, text, told):
    assert refusal(read, text) == told


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("AWS_REGOIN", "the variable SOURCEFLOW_AWS_REGOIN is no option, did you mean SOURCEFLOW_AWS_REGION?"),
        ("AW_REGION", "the variable SOURCEFLOW_AW_REGION is no option, did you mean SOURCEFLOW_AWS_REGION?"),
        ("STORE_URL", "the variable SOURCEFLOW_STORE_URL is no option, did you mean SOURCEFLOW_STORES_URL?"),
        ("BUS_ZZZ", "the variable SOURCEFLOW_BUS_ZZZ is no option: there are SOURCEFLOW_BUS_COMMANDS, SOURCEFLOW_BUS_EVENTS, SOURCEFLOW_BUS_COMMAND_QUEUES, SOURCEFLOW_BUS_TOPICS"),
    ],
)  # fmt: skip
def test_a_misspelt_variable_is_told_with_the_right_one(variable, told):
    assert refusal(env, **{variable: SECRET}) == told


@pytest.mark.parametrize("variable", ["DATABASE_URL", "TEST_LOCALSTACK_URL", "LOG_LEVEL", "X"])
def test_other_variables_with_the_prefix_are_somebody_elses(variable):
    assert repr(env(**{variable: SECRET})) == "<Settings of nothing>"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[aws]\nwait_time = 3", "aws.wait_time must be a duration such as '30s', '5 min' or"),
        ("[aws]\nwait_time = 'hunter2'", "aws.wait_time must be a duration such as '30s', '5"),
        ("[aws]\nmax_attempts = 'hunter2'", "aws.max_attempts must be a whole number"),
        ("[aws]\nmax_attempts = true", "aws.max_attempts must be a whole number"),
        ("[aws]\nstrict_order = 'hunter2'", "aws.strict_order must be true or false"),
        ("[aws]\nregion = 7", "aws.region must be a text"),
        ("[aws]\nkms_key_id = 7", "aws.kms_key_id must be a text, or 'none'"),
        ("[aws]\ndecrypt_key_ids = [7]", "aws.decrypt_key_ids must be a list of texts"),
        ("[aws]\nprovisioning = 'hunter2'", "aws.provisioning must be one of 'ensure', 'ver"),
        ("[aws]\ncircuit_breaker = 'hunter2'", "aws.circuit_breaker must be true for all"),
        ("[aws.dead_letter_monitor]\nalerts = 3", "aws.dead_letter_monitor.alerts must be a list"),
        ("[aws]\nmax_attempts = 0", "aws.max_attempts: max_attempts is at least 1, not 0"),
        ("[aws]\nendpoint_url = 'ftp://u:hunter2@h'", "aws.endpoint_url: endpoint_url '…' is no"),
        ("[aws.circuit_breaker]\nfailures = 0", "aws.circuit_breaker.failures: failures and suc"),
        ("[bus]\ncommands = ['a']", "bus.commands must be a table of types, each with its queue"),
        ("[bus]\ntopics = 3", "bus.topics must be a list of names, or a table of names with"),
        ("[bus]\ntopics = [3]", "bus.topics must be a list of names, or a table of names with"),
        ("[bus.commands]\nGo = 3", "bus.commands: the entry 'Go' is no table of options"),
        ("[bus.commands]\nGo = {}", "bus.commands: the entry 'Go' says no queue"),
        (
            "[bus.command_queues.a]\ntimeout = 'hunter2'",
            "bus.command_queues: of the entry 'a', timeout must be a duration such as",
        ),
        ("[stores]\nurl = 'mysql://u:hunter2@h/d'", "stores.url: 'mysql' is not supported: use"),
        ("[stores]\nurl = 'hunter2'", "stores.url: the database's URL cannot be read: write"),
        ("[stores]\ncleanup_interval = '0s'", "stores.cleanup_interval: cleanup_interval is mo"),
        ("[stores]\nprefix = 'a b'", "stores.prefix: the prefix 'a b' is refused"),
    ],
)
def test_a_value_that_cannot_be_used_is_told_by_its_option_and_never_shown(read, text, told):
    assert refusal(read, text).startswith(f"shop.toml: {told}")


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AWS_MAX_ATTEMPTS", SECRET, "AWS_MAX_ATTEMPTS must be a whole number"),
        ("AWS_MAX_ATTEMPTS", "0", "AWS_MAX_ATTEMPTS: max_attempts is at least 1, not 0"),
        ("BUS_COMMANDS", "{hunter2", "BUS_COMMANDS must be a table of types, each with its queue"),
        ("STORES_URL", "mysql://hunter2@h/d", "STORES_URL: 'mysql' is not supported: use sqlite"),
    ],
)
def test_a_value_of_a_variable_is_told_by_the_variable(variable, value, told):
    assert refusal(env, **{variable: value}).startswith(f"the variable SOURCEFLOW_{told}")


def test_a_file_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert refusal(Settings.from_toml, "shop.toml") == (
        f"there is no file 'shop.toml', looked for in {tmp_path}"
    )
    assert refusal(Settings.from_toml, tmp_path) == f"{tmp_path} cannot be read: Is a directory"


@pytest.mark.parametrize(
    ("use", "told"),
    [
        (lambda settings: settings.name, "app.name is not set"),
        (lambda settings: settings.aws, "aws.region is not set"),
        (lambda settings: settings.transport([]), "aws.region is not set"),
        (lambda settings: settings.stores(), "stores.url is not set"),
    ],
)
def test_what_must_be_set_is_told_where_it_is_used(use, told, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    assert refusal(use, env(AWS_WAIT_TIME="1 s", STORES_TIMEOUT="1 s")).startswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[bus.commands]\n'travel.og' = 'q'", "bus.commands names the type 'travel.og', which is not among those that were given, did you mean 'travel.go'?"),
        ("[bus.commands]\n'os.system' = 'q'", "bus.commands names the type 'os.system', which is not among those that were given: travel.go, Gone"),
        ("[bus.commands]\nGone = 'q'", "bus.commands is for commands; 'Gone' is none"),
        ("[bus.events]\n'travel.go' = 'q'", "bus.events is for events; 'travel.go' is none"),
        ("[bus.commands]\n'travel.go' = 'a b'", "bus.commands, 'travel.go': "),
        ("[bus.command_queues.a]\nmax_attempts = 0", "bus.command_queues, 'a': max_attempts is at least 1, not 0"),
        ("[aws]\nenable_encryption = true\n[bus.commands]\n'travel.go' = 'q'", "there is no key"),
    ],
)  # fmt: skip
def test_what_only_the_types_show_is_told_with_its_place(read, text, told):
    settings = read(text) | env(AWS_REGION="us-east-1")

    assert told in refusal(settings.transport, [Travels])


def test_a_snapshot_shows_what_is_in_effect_and_no_password(read):
    url = f"postgresql://shop:{SECRET}@db/orders?password={SECRET}"
    settings = read(FILE) | env(STORES_URL=url, AWS_ENDPOINT_URL=f"http://u:{SECRET}@h:1/")

    snapshot = settings.snapshot()
    assert SECRET not in repr(snapshot) + repr(settings)
    assert snapshot["app"] == {"name": "travel"}
    assert snapshot["aws"]["wait_time"] == "5 s"
    assert snapshot["aws"]["visibility_timeout"] == "30 s"
    assert snapshot["aws"]["circuit_breaker"]["failures"] == 3
    assert snapshot["aws"]["endpoint_url"] == "http://u@h:1/"
    assert snapshot["bus"]["commands"] == {"travel.go": {"queue": "go.fifo"}}
    assert snapshot["stores"]["url"] == "postgresql://shop@db/orders"
    assert snapshot["stores"]["pool_size"] == 20
    assert env(STORES_URL="memory").snapshot() == {"stores": {"url": "memory"}}
    assert env(STORES_URL="sqlite:////a/b.db").snapshot()["stores"]["url"] == "sqlite:////a/b.db"


def test_thresholds_of_health_are_told_apart_from_their_defaults_only_where_they_are_used():
    """One may be raised in a file and the other in the environment."""
    below, above = env(HEALTH_OUTBOX_AGE_DEGRADED="1 h"), env(HEALTH_OUTBOX_AGE_UNHEALTHY="2 h")

    health = (below | above).health
    assert health.outbox_age_degraded == timedelta(hours=1)
    assert health.outbox_age_unhealthy == timedelta(hours=2)
    assert "outbox_age_unhealthy is less than outbox_age_degraded" in refusal(lambda: below.health)
    told = refusal(env, HEALTH_OUTBOX_DEPTH_DEGRADED="9", HEALTH_OUTBOX_DEPTH_UNHEALTHY="8")
    assert told.startswith("the variable SOURCEFLOW_HEALTH_OUTBOX_DEPTH_")
    assert Settings().health == HealthOptions()


def test_an_idempotency_service_is_kept_in_a_database_or_in_memory():
    assert isinstance(env(IDEMPOTENCY_URL="sqlite://").idempotency(), SqlIdempotency)
    in_memory = env(IDEMPOTENCY_URL="memory", IDEMPOTENCY_CAPACITY="7", IDEMPOTENCY_POOL_SIZE="3")
    assert isinstance(in_memory.idempotency(), InMemoryIdempotency)
    assert in_memory.snapshot() == {"idempotency": {"url": "memory", "capacity": 7}}
    told = refusal(env, IDEMPOTENCY_URL="memory", IDEMPOTENCY_CAPACITY="0")
    assert told == "the variable SOURCEFLOW_IDEMPOTENCY_CAPACITY: capacity is 1 or more, not 0"


def test_telemetry_is_what_it_is_by_default_where_nothing_is_said(monkeypatch):
    seen = []
    original = Telemetry.__init__

    @functools.wraps(original)
    def spy(self, **options):
        seen.append(options)
        original(self, **options)

    monkeypatch.setattr(Telemetry, "__init__", spy)
    Settings().telemetry()
    env(TELEMETRY_DETAILS="yes").telemetry()
    assert (seen[0], seen[-1]) == ({}, {"details": True})


def test_telemetry_is_imported_only_where_it_is_asked_for():
    program = """if True:
        import sys
        from sourceflow.settings import Settings

        variables = {"SOURCEFLOW_APP_NAME": "a", "SOURCEFLOW_HEALTH_LISTENER_STALLED": "5 s"}
        settings = Settings.from_env(environment=variables)
        settings.name, settings.health
        print("opentelemetry" in sys.modules, "sqlalchemy" in sys.modules)
        settings.telemetry()
        print("opentelemetry" in sys.modules)
    """
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stdout == "False False\nTrue\n"


def test_stores_in_memory_need_no_extra_and_others_name_it():
    program = """if True:
        import sys
        from sourceflow.errors import MissingExtraError
        from sourceflow.settings import Settings

        sys.modules["sqlalchemy"] = None
        Settings.from_env(environment={"SOURCEFLOW_STORES_URL": "memory"}).stores()
        try:
            Settings.from_env(environment={"SOURCEFLOW_STORES_URL": "sqlite://"})
        except MissingExtraError as error:
            print(error.extra, {"botocore", "aiohttp"} & set(sys.modules))
    """
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stdout == "sql set()\n"
