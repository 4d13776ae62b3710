"""The one operation of STS that SDKs and people use to see who they are."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

from sourceflow.testing.local_aws.errors import AwsFault

__all__ = ("call_sts",)


def call_sts(action: str, account_id: str) -> Element:
    """Answer GetCallerIdentity.

    Raises:
        AwsFault: It is another action.
    """
    if action != "GetCallerIdentity":
        raise AwsFault("InvalidAction", f"Could not find operation {action}", status=400)
    result = Element("GetCallerIdentityResult")
    SubElement(result, "Arn").text = f"arn:aws:iam::{account_id}:root"
    SubElement(result, "UserId").text = account_id
    SubElement(result, "Account").text = account_id
    return result
