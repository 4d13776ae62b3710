"""Queues, topics, subscriptions and policies: made, or checked, when an App starts."""

from sourceflow.transports.aws.provisioning.by_hand import Resource, Resources
from sourceflow.transports.aws.provisioning.plan import (
    ProvisioningPlan,
    QueuePlan,
    TopicPlan,
    plan_resources,
)
from sourceflow.transports.aws.provisioning.policies import may_allow
from sourceflow.transports.aws.provisioning.provision import Provisioner
from sourceflow.transports.aws.provisioning.queues import is_missing
from sourceflow.transports.aws.provisioning.resources import (
    Provisioned,
    ProvisionedQueue,
    ProvisionedTopic,
)

__all__ = (
    "Provisioned",
    "ProvisionedQueue",
    "ProvisionedTopic",
    "Provisioner",
    "ProvisioningPlan",
    "QueuePlan",
    "Resource",
    "Resources",
    "TopicPlan",
    "is_missing",
    "may_allow",
    "plan_resources",
)
