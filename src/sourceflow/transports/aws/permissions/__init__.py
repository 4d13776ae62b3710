"""What an App needs the right to do on AWS, as IAM policies."""

from sourceflow.transports.aws.permissions.account import Account, find_account
from sourceflow.transports.aws.permissions.permissions import (
    Permissions,
    PolicyMode,
    Role,
    permissions_of,
)
from sourceflow.transports.aws.permissions.statement import Statement

__all__ = (
    "Account",
    "Permissions",
    "PolicyMode",
    "Role",
    "Statement",
    "find_account",
    "permissions_of",
)
