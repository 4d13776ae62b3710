"""Settings: what a program is told from outside."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sourceflow.errors import SettingsError, StoreConfigurationError
from sourceflow.host.settings.owners import BESIDE, IN_MEMORY, owner_of, parameters_of
from sourceflow.host.settings.plain import plain
from sourceflow.host.settings.routes import bus_of
from sourceflow.host.settings.schema import options_of
from sourceflow.host.settings.sources import Given, read_environment, read_file
from sourceflow.host.settings.tables import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sourceflow.bus.ports import HealthOptions
    from sourceflow.host.settings.sources import Key
    from sourceflow.stores.memory import InMemoryIdempotency, MemoryStores
    from sourceflow.stores.sql import SqlIdempotency, SqlStores
    from sourceflow.telemetry.otel import Telemetry
    from sourceflow.transports.aws import AwsOptions, AwsTransport, KeyProvider
    from sourceflow.transports.aws.bus import Bus
    from sourceflow.transports.aws.client import CredentialsProvider

__all__ = ("Settings",)


class Settings:
    """What a program is told from outside: by a file, by the environment, or by both.

    ```python
    settings = Settings.from_toml("shop.toml") | Settings.from_env()
    app = App(components, name=settings.name, stores=settings.stores())
    app.use(settings.transport(components))
    ```

    Names and values are checked when they are read; a value is never shown. The right operand of
    ``|`` wins, option by option.
    """

    def __init__(self) -> None:
        self._given: dict[Key, Given] = {}

    @classmethod
    def _of(cls, given: dict[Key, Given]) -> Self:
        settings = cls()
        settings._given = given
        for section in BESIDE:
            settings._try(section)
        return settings

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Read a file of TOML with the tables ``app``, ``aws``, ``bus``, ``stores`` and others.

        Raises:
            SettingsError: There is no such file, a name in it is no option, or a value not that of
                one; names the file and the option.
        """
        return cls._of(read_file(Path(path)))

    @classmethod
    def from_env(
        cls, prefix: str = "SOURCEFLOW_", *, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Read environment variables such as ``SOURCEFLOW_AWS_REGION``.

        Args:
            prefix: What their names begin with, before the name of a table of the file.
            environment: Instead of that of the process.

        Raises:
            SettingsError: A variable with the prefix and the name of a table is no option, or its
                value not that of one; names the variable.
            ValueError: The prefix is empty.
        """
        if not prefix:
            raise ValueError("a prefix is needed: other variables are somebody else's")
        return cls._of(read_environment(os.environ if environment is None else environment, prefix))

    def __or__(self, other: Settings) -> Self:
        """Return these settings with those of ``other`` above them."""
        if not isinstance(other, Settings):
            return NotImplemented
        given = {**self._given, **other._given}
        for key in self._given.keys() & other._given.keys():
            if key[0] == "bus":
                below, above = self._given[key], other._given[key]
                origin = f"{below.origin} and {above.origin}"
                given[key] = Given({**below.value, **above.value}, origin)
        return self._of(given)

    @property
    def name(self) -> str:
        """The App's name, of the table ``app``.

        Raises:
            SettingsError: It is not set.
        """
        self._require("app")
        return str(self._given["app", ("name",)].value)

    @property
    def aws(self) -> AwsOptions:
        """The options of the table ``aws``.

        Raises:
            SettingsError: The region is set neither here nor by ``AWS_DEFAULT_REGION``.
        """
        from sourceflow.transports.aws import AwsOptions  # noqa: PLC0415 - only where it is used

        try:
            return AwsOptions(**{name: given.value for name, given in self._values("aws").items()})
        except ValueError as error:  # each value was tried: there is no region
            raise SettingsError(f"aws.region is not set: {error}") from None

    def bus(self, components: Sequence[type[Any] | Callable[..., Any]]) -> Callable[[Bus], object]:
        """Return what the table ``bus`` says, as ``AwsTransport`` takes it.

        Args:
            components: The App's components, or message types: the wire names in the table are
                looked up among their types, nothing is imported by a name.

        Raises:
            SettingsError: A name is not that of one of these types, or of the wrong kind.
        """
        tables = {
            Table(path[0]): given
            for (section, path), given in self._given.items()
            if section == "bus"
        }
        return bus_of(tables, components)

    def transport(
        self,
        components: Sequence[type[Any] | Callable[..., Any]],
        *,
        credentials: CredentialsProvider | None = None,
        keys: KeyProvider | None = None,
    ) -> AwsTransport:
        """Return the transport that the tables ``aws`` and ``bus`` describe.

        Args:
            components: As for ``bus``.
            credentials: Whose requests these are; botocore's chain where not given.
            keys: A key service that messages are encrypted with, instead of AWS KMS.

        Raises:
            SettingsError: The region is not set, a name is not that of a type, a queue or a topic
                cannot be called so, or there is no key to encrypt with.
        """
        from sourceflow.transports.aws import AwsTransport  # noqa: PLC0415 - only where it is used

        configure = self.bus(components)
        try:
            return AwsTransport(self.aws, configure, credentials=credentials, keys=keys)
        except SettingsError:
            raise
        except ValueError as error:
            raise SettingsError(str(error)) from None

    def stores(self) -> SqlStores | MemoryStores:
        """Return the stores that the table ``stores`` describes; those in memory of the URL ``memory``.

        Raises:
            SettingsError: The URL is not set, or is none.
        """
        made: SqlStores | MemoryStores = self._make("stores")
        return made

    def idempotency(self) -> SqlIdempotency | InMemoryIdempotency:
        """Return the service that the table ``idempotency`` describes; in memory of the URL ``memory``.

        Raises:
            SettingsError: The URL is not set, or is none.
        """
        made: SqlIdempotency | InMemoryIdempotency = self._make("idempotency")
        return made

    @property
    def health(self) -> HealthOptions:
        """The thresholds of the table ``health``, as ``App(health=…)`` takes them.

        Raises:
            SettingsError: One and its default, or two of them, contradict each other.
        """
        made: HealthOptions = self._make("health")
        return made

    def telemetry(self) -> Telemetry:
        """Return what follows messages, as the table ``telemetry`` says; all defaults without one.

        Raises:
            MissingExtraError: The extra ``otel`` is not installed.
        """
        made: Telemetry = self._make("telemetry")
        return made

    def _make(self, section: str) -> Any:
        self._require(section)
        values = self._values(section)
        origin = ", ".join(dict.fromkeys(given.origin for given in values.values()))
        return _made(
            self._owner(section), {name: each.value for name, each in values.items()}, origin
        )

    def _owner(self, section: str) -> type[Any]:
        return owner_of(section, self._value(section, "url"))

    def _takes(self, section: str, name: str) -> bool:
        """Whether what is made of a section takes an option."""
        return section not in BESIDE or name in parameters_of(self._owner(section))

    def snapshot(self) -> dict[str, Any]:
        """Return what is in effect, defaults included, as plain data without passwords."""
        sections = dict.fromkeys(section for section, _ in self._given)
        return {section: self._snapshot(section) for section in sections}

    def _snapshot(self, section: str) -> dict[str, Any]:
        values = {
            path[0]: option.default
            for path, option in options_of(section).items()
            if self._takes(section, path[0]) or path == ("url",)
        }
        values |= {name: given.value for name, given in self._values(section).items()}
        if self._value(section, "url") == IN_MEMORY:
            values["url"] = IN_MEMORY
        return {
            name: plain(value)
            for name, value in values.items()
            if value is not inspect.Parameter.empty
        }

    def _value(self, section: str, *path: str) -> Any:
        given = self._given.get((section, path))
        return None if given is None else given.value

    def _values(self, section: str) -> dict[str, Given]:
        """Return what was given for the options of a section; groups are put together.

        What is kept in memory has no need of what is said of a database, and the other way round:
        that is left out.

        Raises:
            SettingsError: A group cannot be made of what was given.
        """
        found: dict[str, Given] = {}
        for (owner, path), given in self._given.items():
            if owner == section and self._takes(section, path[0]):
                group = options_of(section)[path[:1]].group
                found[path[0]] = given if group is None else self._group(section, path[0], group)
        return found

    def _group(self, section: str, name: str, group: type[Any]) -> Given:
        inside = {
            path[1]: given
            for (owner, path), given in self._given.items()
            if owner == section and path[0] == name and path[1:]
        }
        presence = self._given.get((section, (name,)))
        if presence is not None and not presence.value:
            return Given(options_of(section)[name,].default, presence.origin)
        origins = [given.origin for given in inside.values()]
        origin = ", ".join(origins) if presence is None or origins else presence.origin
        return Given(_made(group, {at: each.value for at, each in inside.items()}, origin), origin)

    def _try(self, section: str) -> None:
        """See that each value is one that its option takes, so that the error tells which is not."""
        found = self._values(section)
        if not found:  # what takes the options need not be installed
            return
        needed = {
            name: each for name, each in BESIDE[section].items() if self._takes(section, name)
        }
        for name in [each for each in found if each in needed]:
            needed[name] = found[name].value
            _made(self._owner(section), needed, found[name].origin)
        for name, given in found.items():
            _made(self._owner(section), {**needed, name: given.value}, given.origin)

    def _require(self, section: str) -> None:
        for option in options_of(section).values():
            if (
                option.default is inspect.Parameter.empty
                and (section, option.path) not in self._given
            ):
                raise SettingsError(
                    f"{option.key} is not set: give it in the table [{section}] of the file, or in "
                    "the environment"
                )

    def __repr__(self) -> str:
        names = ", ".join(".".join((section, *path)) for section, path in self._given)
        return f"<Settings of {names or 'nothing'}>"  # a value may be a secret


def _made(owner: type[Any], values: Mapping[str, Any], origin: str) -> Any:
    try:
        return owner(**values)
    except (StoreConfigurationError, TypeError, ValueError) as error:
        text = str(error)
        for value in values.values():
            if isinstance(value, str) and "://" in value:  # addresses hold passwords
                text = text.replace(value, "…")
        raise SettingsError(f"{origin}: {text}") from None
