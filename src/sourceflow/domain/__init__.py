"""What users derive their own classes from."""

from sourceflow.domain.aggregate import Aggregate
from sourceflow.domain.conditions import Condition, field
from sourceflow.domain.connection import Connection
from sourceflow.domain.context import Context
from sourceflow.domain.entity import Entity
from sourceflow.domain.handlers import DELETE, Delete, handles, projects, subscribes
from sourceflow.domain.saga import Saga
from sourceflow.domain.view import View
from sourceflow.domain.view_model import ViewModel

__all__ = (
    "DELETE",
    "Aggregate",
    "Condition",
    "Connection",
    "Context",
    "Delete",
    "Entity",
    "Saga",
    "View",
    "ViewModel",
    "field",
    "handles",
    "projects",
    "subscribes",
)
