"""Scenarios: given, when, then."""

from sourceflow.testing.scenario.absence import absent
from sourceflow.testing.scenario.likeness import like
from sourceflow.testing.scenario.scenario import Given, Outcome, When, given

__all__ = ("Given", "Outcome", "When", "absent", "given", "like")
