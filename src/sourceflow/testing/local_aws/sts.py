"""The one operation of STS that SDKs and people use to see who they are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement

from sourceflow.testing.local_aws.errors import AwsFault

if TYPE_CHECKING:
    from sourceflow.testing.local_aws.identities import Identity

__all__ = ("call_sts",)


def call_sts(action: str, account_id: str, identity: Identity | None = None) -> Element:
    """Answer GetCallerIdentity: nobody needs a right for it, and no policy can forbid it.

    Args:
        action: The operation.
        account_id: The account.
        identity: Who asks; None is the account itself.

    Raises:
        AwsFault: It is another action.
    """
    if action != "GetCallerIdentity":
        raise AwsFault("InvalidAction", f"Could not find operation {action}", status=400)
    result = Element("GetCallerIdentityResult")
    arn = f"arn:aws:iam::{account_id}:root" if identity is None else identity.arn
    SubElement(result, "Arn").text = arn
    SubElement(result, "UserId").text = account_id if identity is None else arn.rpartition("/")[2]
    SubElement(result, "Account").text = account_id
    return result
