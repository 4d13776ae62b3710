"""Traces and metrics through OpenTelemetry."""

from sourceflow.errors import MissingExtraError

try:
    from sourceflow.telemetry.otel.telemetry import Telemetry
except ModuleNotFoundError as error:
    if error.name is None or error.name.partition(".")[0] != "opentelemetry":
        raise
    raise MissingExtraError("otel", "opentelemetry") from error

__all__ = ("Telemetry",)
