"""Policies that are refused when they are set: LocalAws evaluates all of a policy, or none of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sourceflow.testing.local_aws.policy import (
    Principal,
    allows,
    check_identity_policy,
    check_policy,
    effect_of,
)

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
        ("[]", "The policy is missing, or no object"),
        (policy("a"), "A statement is missing, or no object"),
        (policy({**STATEMENT, "Effect": "Maybe"}), "neither Allow nor Deny"),
        (policy(without("Principal")), "Principal is missing"),
        (policy({**STATEMENT, "Principal": {"Federated": "f"}}), "Principal has a Federated"),
        (policy({**STATEMENT, "Principal": {"AWS": []}}), "AWS Principal is missing"),
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


@pytest.mark.parametrize(
    ("member", "value", "reason"),
    [
        ("Condtion", {}, "A statement has a Condtion, which LocalAws does not know"),
        ("NotAction", "sqs:*", "A statement has a NotAction"),
        ("NotResource", "*", "A statement has a NotResource"),
        ("Action", [], "Action is missing"),
        ("Action", [5], "Action is missing, or neither a text nor a list of texts"),
        ("Action", None, "Action is missing"),
        ("Action", "SendMessage", "Action 'SendMessage' is none"),
        ("Action", "s*:SendMessage", r"Action 's\*:SendMessage' is none"),
        ("Resource", [], "Resource is missing"),
        ("Resource", "orders", "Resource 'orders' is none"),
        ("Resource", "alias/orders", "Resource 'alias/orders' is none"),
        ("Resource", "arn:aws:sqs:orders", "Resource 'arn:aws:sqs:orders' is none"),
        ("Condition", [], "Condition is missing, or no object"),
        ("Condition", {"StringEquals": []}, "StringEquals is missing, or no object"),
        ("Condition", {"StringEquals": {"k": None}}, "StringEquals has no value of k"),
        ("Condition", {"StringEquals": {"k": {}}}, "StringEquals has no value of k"),
        ("Condition", {"StringEqualsIfExists": {"k": "v"}}, "no condition operator StringEqualsIf"),
        ("Condition", {"StringNotEquals": {"k": "v"}}, "no condition operator StringNotEquals"),
        ("Condition", {"stringequals": {"k": "v"}}, "no condition operator stringequals"),
        ("Condition", {"Null": {"k": "true"}}, "no condition operator Null"),
    ],
)
def test_a_member_that_would_be_passed_over_is_refused(member, value, reason):
    statement = {**STATEMENT, member: value}
    with pytest.raises(ValueError, match=reason):
        check_policy(policy(statement))
    del statement["Principal"]
    with pytest.raises(ValueError, match=reason):
        check_identity_policy(policy(statement))


@pytest.mark.parametrize("check", [check_policy, check_identity_policy])
@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"Version": "2012-10-18"}, "The policy's Version is none: 2008-10-17 or 2012-10-17"),
        ({"Statements": []}, "The policy has a Statements"),
    ],
)
def test_members_of_a_policy_that_there_are_not_are_refused(check, members, reason):
    with pytest.raises(ValueError, match=reason):
        check(json.dumps({"Statement": [STATEMENT], **members}))


def test_ids_of_statements_of_an_identity_are_letters_and_digits_and_differ():
    one = without("Principal")
    for statements, reason in (
        ([{**one, "Sid": "a-b"}], "The Sid 'a-b' is none"),
        ([{**one, "Sid": "a"}, {**one, "Sid": "a"}], "The Sid 'a' is that of 2 statements"),
    ):
        with pytest.raises(ValueError, match=reason):
            check_identity_policy(policy(*statements))
    check_identity_policy(policy({**one, "Sid": "A1"}, one, one))
    check_policy(policy({**STATEMENT, "Sid": "of-a-queue"}))


QUEUE = "arn:aws:sqs:us-east-1:1:q"


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [
        (QUEUE, True),
        ("*", True),
        ("arn:aws:sqs:us-east-1:1:*", True),
        ("arn:aws:sqs:*:1:q", True),
        ("arn:aws:sqs:us-*-1:1:?", True),
        ("arn:aws:sqs:*", True),
        ("arn:aws:sqs:*:q", True),  # an asterisk that ends a part goes on over colons
        ("arn:aws:sqs:us*1:q", False),  # any other stays within its part
        ("arn:aws:sqs:us-east-1?1:q", False),
        ("arn:aws:sqs:us-east-1:1:Q", False),
        ("arn:aws:sqs:us-east-1:1:", False),
        ("arn:aws:sqs:us-east-1:1:q?", False),
    ],
)
def test_wildcards_of_resources_stay_within_a_part_unless_they_end_it(pattern, covers):
    document = policy({**STATEMENT, "Resource": pattern})
    assert is_allowed(document) is covers


def matches(pattern, text):
    """The rule in its shortest form, to hold the other against."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return matches(pattern[1:], text) or (bool(text) and matches(pattern, text[1:]))
    return bool(text) and pattern[0] in {"?", text[0]} and matches(pattern[1:], text[1:])


@given(st.text("ab*?.[", max_size=6).filter(bool), st.text("ab.[", max_size=6), st.booleans())
def test_patterns_match_what_their_wildcards_stand_for(pattern, text, upper):
    condition = {"StringLike": {"aws:SourceOrg": pattern}}
    assert is_allowed(
        policy({**STATEMENT, "Condition": condition}), **{"aws:SourceOrg": text}
    ) is matches(pattern, text)
    action = f"sqs:{pattern.upper() if upper else pattern}"
    is_action = effect_of(policy({**STATEMENT, "Action": action}), f"sqs:{text}", QUEUE, SNS, {})
    assert (is_action == "Allow") is matches(pattern, text)


STATEMENTS = st.builds(
    lambda effect, action, resource: {
        **STATEMENT,
        "Effect": effect,
        "Action": action,
        "Resource": resource,
    },
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["sqs:*", "sqs:SendMessage", "SQS:sendmessage", "sqs:Receive*", "sns:*"]),
    st.sampled_from(["*", QUEUE, f"{QUEUE}*", f"{QUEUE}2"]),
)


@given(st.lists(STATEMENTS, min_size=1, max_size=5), STATEMENTS)
def test_a_denial_wins_whatever_the_order_and_no_statement_gives_what_another_denies(
    statements, one_more
):
    def effect(*given):
        return effect_of(policy(*given), "sqs:SendMessage", QUEUE, SNS, {})

    before = effect(*statements)
    assert effect(*reversed(statements)) == before
    alone = {effect(each) for each in statements}
    assert before == next((each for each in ("Deny", "Allow") if each in alone), None)
    if before == "Deny":
        assert effect(*statements, one_more) == "Deny"
    if before == "Allow":
        assert effect(*statements, {**one_more, "Effect": "Allow"}) == "Allow"


def test_true_and_false_may_stand_without_quotation_marks():
    for value, holds in ((True, True), (False, False)):
        document = policy({**STATEMENT, "Condition": {"Bool": {"aws:SecureTransport": value}}})
        check_policy(document)
        assert is_allowed(document) is holds


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
