"""Statements, and the documents that they fit into."""

from __future__ import annotations

import json

import pytest

from sourceflow.testing.local_aws.policy import check_identity_policy
from sourceflow.transports.aws.permissions.statement import (
    MAX_CHARACTERS,
    Statement,
    documents_of,
    without_repeats,
)


def statement(sid="Send", actions=("sqs:SendMessage",), resources=("a",), **condition):
    return Statement(sid=sid, actions=actions, resources=resources, condition=condition)


def arns(count, length=60):
    return tuple(f"{number:0{length}}" for number in range(count))


def test_a_statement_is_written_as_iam_takes_it():
    assert statement().to_dict() == {
        "Sid": "Send",
        "Effect": "Allow",
        "Action": ["sqs:SendMessage"],
        "Resource": ["a"],
    }
    equal = {"kms:ViaService": "sqs"}
    assert statement(StringEquals=equal).to_dict()["Condition"] == {"StringEquals": equal}


def test_what_is_allowed_already_is_left_out():
    kept = without_repeats(
        [
            statement("A", ("x", "y"), ("1", "2")),
            statement("B", ("x",), ("1", "2")),
            statement("C", ("y", "z"), ("2",)),
            statement("D", ("x",), ("2", "3")),
        ]
    )
    assert [(each.sid, each.actions, each.resources) for each in kept] == [
        ("A", ("x", "y"), ("1", "2")),
        ("C", ("z",), ("2",)),
        ("D", ("x",), ("3",)),
    ]


def test_what_is_allowed_under_another_condition_is_not_left_out():
    some = {"aws:SourceAccount": "1"}
    statements = [statement("A", StringEquals=some), statement("B", StringEquals=some), statement()]
    assert [each.sid for each in without_repeats(statements)] == ["A", "Send"]


def test_what_fits_is_one_document_in_its_order():
    statements = [statement(f"S{number}") for number in range(5)]
    (document,) = documents_of(statements)
    assert document["Version"] == "2012-10-17"
    assert [each["Sid"] for each in document["Statement"]] == ["S0", "S1", "S2", "S3", "S4"]


def test_no_statement_is_no_document():
    assert documents_of([]) == ()


def test_what_does_not_fit_is_split_and_nothing_is_lost():
    statements = [
        statement("Small"),
        statement("Large", resources=arns(250)),
        statement("Half", resources=arns(45)),
        statement("Last"),
    ]
    documents = documents_of(statements)

    for document in documents:
        check_identity_policy(json.dumps(document, indent=4))  # as IAM counts
        sids = [each["Sid"] for each in document["Statement"]]
        assert len(set(sids)) == len(sids)
    assert len(documents) == 5
    written = [each for document in documents for each in document["Statement"]]
    assert [arn for each in written for arn in each["Resource"]] == [
        arn for each in statements for arn in each.resources
    ]


def test_a_document_is_filled_to_the_last_character():
    empty = len(json.dumps(documents_of([statement(resources=("",))])[0], separators=(",", ":")))
    exact = statement(resources=("a" * (MAX_CHARACTERS - empty),))
    assert len(documents_of([exact])) == 1
    with pytest.raises(ValueError, match="the statement Send takes more than the 6,144 characters"):
        documents_of([statement(resources=("a" * (MAX_CHARACTERS - empty + 1),))])
