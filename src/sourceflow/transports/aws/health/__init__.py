"""How the AWS part of an App is: what is looked at, and what is found."""

from sourceflow.transports.aws.health.health import AwsHealth, Work
from sourceflow.transports.aws.health.places import known_places, sought_places

__all__ = ("AwsHealth", "Work", "known_places", "sought_places")
