"""Settings of a program: from a file, from the environment."""

from sourceflow.host.settings.settings import Settings

__all__ = ("Settings",)
