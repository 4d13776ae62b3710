"""The command line."""

from sourceflow.host.cli.main import main

__all__ = ("main",)
