"""Statements, and the documents that they fit into."""

from __future__ import annotations

import json
from collections import Counter

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


ARN = "arn:aws:sqs:us-east-1:1:"


def arns(count, length=60):
    return tuple(f"{ARN}{number:0{length - len(ARN)}}" for number in range(count))


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
        statement("Small", resources=arns(1)),
        statement("Large", resources=arns(250)),
        statement("Half", resources=arns(45)),
        statement("Last", resources=arns(1)),
    ]
    documents = documents_of(statements)

    for document in documents:
        check_identity_policy(json.dumps(document, indent=4))  # as IAM counts
        sids = [each["Sid"] for each in document["Statement"]]
        assert len(set(sids)) == len(sids)
    assert len(documents) == 4
    assert [each["Sid"] for each in documents[0]["Statement"]] == ["Small", "Large3", "Last"]
    assert rights(documents) == rights([{"Statement": [e.to_dict() for e in statements]}])


def rights(documents):
    return Counter(
        (each["Sid"].rstrip("0123456789"), arn)
        for document in documents
        for each in document["Statement"]
        for arn in each["Resource"]
    )


def test_a_condition_that_does_not_fit_is_split_and_the_rest_of_it_stays():
    destinations = {"kms:EncryptionContext:destination": list(arns(250))}
    source = {"kms:EncryptionContext:source": "/shop"}
    keys = ("arn:aws:kms:us-east-1:1:key/1", "arn:aws:kms:us-east-1:1:key/2")
    whole = statement(
        "Encrypt", ("kms:GenerateDataKey",), keys, StringEquals={**source, **destinations}
    )
    documents = documents_of([statement("First", resources=arns(1)), whole])

    assert len(documents) == 3
    found = []
    for document in documents:
        check_identity_policy(json.dumps(document))
        for each in document["Statement"]:
            if each["Sid"] == "First":
                continue
            assert each["Resource"] == list(keys)
            values = dict(each["Condition"]["StringEquals"])
            found += values.pop("kms:EncryptionContext:destination")
            assert values == source
    assert sorted(found) == list(arns(250))


def test_one_that_alone_is_too_long_is_refused_wherever_it_stands():
    long = "a" * MAX_CHARACTERS
    for resources in ((long, "b"), ("b", long), ("b", long, "b")):
        with pytest.raises(ValueError, match="the statement Send takes more than"):
            documents_of([statement(resources=resources)])
    for values in ([long, "b"], ["b", long], long):
        with pytest.raises(ValueError, match="the statement Send takes more than"):
            documents_of([statement(StringEquals={"k": values})])


def test_a_document_is_filled_to_the_last_character():
    empty = len(json.dumps(documents_of([statement(resources=("",))])[0], separators=(",", ":")))
    exact = statement(resources=("a" * (MAX_CHARACTERS - empty),))
    assert len(documents_of([exact])) == 1
    with pytest.raises(ValueError, match="the statement Send takes more than the 6,144 characters"):
        documents_of([statement(resources=("a" * (MAX_CHARACTERS - empty + 1),))])
