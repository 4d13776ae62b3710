"""What a program is told from outside: by a file, by the environment."""

from sourceflow.host.settings import Settings

__all__ = ("Settings",)
