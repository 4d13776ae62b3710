"""Policies that are refused when they are set: LocalAws evaluates all of a policy, or none of it."""

from __future__ import annotations

import json

import pytest

from sourceflow.testing.local_aws.policy import Principal, allows, check_policy

SNS = Principal(service="sns.amazonaws.com")
STATEMENT = {
    "Effect": "Allow",
    "Principal": {"Service": "sns.amazonaws.com"},
    "Action": "sqs:SendMessage",
    "Resource": "*",
}


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def without(name):
    return {key: value for key, value in STATEMENT.items() if key != name}


def is_allowed(document, **context):
    return allows(
        document,
        action="sqs:SendMessage",
        resource="arn:aws:sqs:us-east-1:1:q",
        principal=SNS,
        context=context,
    )


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("no json", "not valid JSON"),
        ("[]", "not valid JSON"),
        (policy("a"), "not valid JSON"),
        (policy({**STATEMENT, "Effect": "Maybe"}), "neither Allow nor Deny"),
        (policy({**without("Principal"), "NotPrincipal": "*"}), "NotPrincipal"),
        (policy({**without("Action"), "NotAction": "*"}), "NotAction"),
        (policy({**without("Resource"), "NotResource": "*"}), "NotResource"),
        (
            policy({**STATEMENT, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}),
            "IpAddress",
        ),
        (policy(*[STATEMENT] * 21), "more than 20 statements"),
        (policy({**STATEMENT, "Sid": "s" * 8_192}), "longer than 8192 bytes"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(document, reason):
    with pytest.raises(ValueError, match=reason):
        check_policy(document)


def test_one_statement_may_stand_without_a_list():
    document = json.dumps({"Statement": STATEMENT})
    check_policy(document)
    assert is_allowed(document)


def test_a_condition_on_a_key_that_is_not_there_does_not_hold():
    document = policy({**STATEMENT, "Condition": {"StringLike": {"aws:SourceOrg": "*"}}})
    assert not is_allowed(document)
    assert is_allowed(document, **{"aws:sourceorg": "o-1"})


def test_requests_count_as_secure():
    document = policy(
        STATEMENT,
        {**STATEMENT, "Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
    )
    check_policy(document)
    assert is_allowed(document)


def test_signs_that_mean_something_in_patterns_of_python_mean_themselves():
    document = policy({**STATEMENT, "Resource": "arn:aws:sqs:us-east-1:1:(q|r)+"})
    assert not is_allowed(document)
