"""The rights of roles, worked out from an App's configuration."""

from __future__ import annotations

import json
import re

import pytest

from sourceflow import Command, Event, Key
from sourceflow.testing.local_aws.policy import check_identity_policy, check_policy
from sourceflow.transports.aws import (
    AwsOptions,
    AwsTransport,
    DeadLetterMonitor,
    LocalKeyProvider,
    SnsAlert,
)

ACCOUNT = "123456789012"
SQS = f"arn:aws:sqs:eu-central-1:{ACCOUNT}:shop-"
SNS = f"arn:aws:sns:eu-central-1:{ACCOUNT}:shop-"
KMS = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/"
ROLES = ("sender", "worker", "operator", "provisioner", None)


class Pay(Command):
    id: Key[str]


class Mail(Command):
    id: Key[str]


class Paid(Event):
    id: Key[str]


def whole(bus):
    """Sends to two queues and listens to one of them, publishes and subscribes."""
    return (
        bus.send.command(Pay, queue="pay.fifo")
        .command(Mail, queue="mail")
        .raise_.event(Paid, topic="paid")
        .listen.to.command_queue("pay.fifo")
        .subscribe.to.topic("paid")
        .topic("rates")
    )


def permissions(configure=whole, *, role="worker", mode="production", keys=None, sse=(), **options):
    merged = {
        "region": "eu-central-1",
        "resource_prefix": "shop-",
        "provisioning": "off",
        **options,
    }
    transport = AwsTransport(AwsOptions(**merged), configure, keys=keys)
    return transport.permissions("bank", account=ACCOUNT, role=role, mode=mode, sse_keys=sse)


def table(found):
    """Return for each action the names of what it is allowed on, without what all ARNs begin with."""
    rights = {}
    for statement in found.statements:
        for action in statement.actions:
            names = [
                re.sub(r"^arn:aws:\w+:eu-central-1:\d+:", "", each) for each in statement.resources
            ]
            rights.setdefault(action, set()).update(names)
    return rights


def condition(found, action):
    return [each.condition for each in found.statements if action in each.actions]


def test_a_sender_finds_and_sends():
    queues, dead = {"shop-pay.fifo", "shop-mail"}, {"shop-pay-dlq.fifo", "shop-mail-dlq"}
    assert table(permissions(role="sender")) == {
        "sqs:GetQueueUrl": queues | dead,
        "sqs:GetQueueAttributes": queues,
        "sns:GetTopicAttributes": {"shop-paid"},
        "sqs:SendMessage": queues,
        "sns:Publish": {"shop-paid"},
    }


def test_a_worker_also_takes_messages_and_gives_them_up():
    taken = {"shop-pay.fifo", "shop-bank-events"}
    rights = table(permissions(role="worker"))
    for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
        assert rights[action] == taken
    assert rights["sqs:SendMessage"] == {
        "shop-pay.fifo",
        "shop-mail",
        "shop-pay-dlq.fifo",
        "shop-bank-events-dlq",
    }
    assert rights["sns:GetTopicAttributes"] == {"shop-paid", "shop-rates"}
    for forbidden in (
        "sqs:PurgeQueue",
        "sqs:CreateQueue",
        "sqs:SetQueueAttributes",
        "sns:Subscribe",
    ):
        assert forbidden not in rights


def test_a_worker_sees_subscriptions_and_depths_of_dead_letters_for_its_health():
    rights = table(permissions())
    for action in ("sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes"):
        assert rights[action] == {"shop-paid", "shop-rates"}
    assert rights["sqs:GetQueueAttributes"] >= {"shop-pay-dlq.fifo", "shop-bank-events-dlq"}


def test_an_operator_reads_moves_and_removes_dead_letters_and_sends_them_again():
    rights = table(permissions(role="operator"))
    dead = {"shop-pay-dlq.fifo", "shop-bank-events-dlq"}
    for action in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "PurgeQueue"):
        assert rights[f"sqs:{action}"] == dead
    for action in ("StartMessageMoveTask", "ListMessageMoveTasks", "CancelMessageMoveTask"):
        assert rights[f"sqs:{action}"] == {"shop-bank-events-dlq"}, (
            "SQS moves no FIFO letters for us"
        )
    assert rights["sqs:SendMessage"] == {"shop-pay.fifo", "shop-mail", "shop-bank-events"}


def test_a_provisioner_makes_and_touches_no_message():
    rights = table(permissions(role="provisioner"))
    queues = {"shop-pay.fifo", "shop-mail", "shop-bank-events"}
    dead = {"shop-pay-dlq.fifo", "shop-mail-dlq", "shop-bank-events-dlq"}
    topics = {"shop-paid", "shop-rates"}
    assert rights == {
        "sqs:GetQueueUrl": queues | dead,
        "sqs:GetQueueAttributes": queues | dead,
        "sqs:CreateQueue": queues | dead,
        "sqs:SetQueueAttributes": {"shop-bank-events", "shop-bank-events-dlq"},
        "sns:CreateTopic": topics,
        "sns:GetTopicAttributes": topics,
        "sns:ListSubscriptionsByTopic": topics,
        "sns:Subscribe": topics,
        "sns:GetSubscriptionAttributes": topics,
    }


@pytest.mark.parametrize("provisioning", ["off", "verify", "ensure"])
def test_one_role_does_all_that_the_app_is_configured_to_do(provisioning):
    one = table(permissions(role=None, provisioning=provisioning))
    roles = ["worker", "operator"] + (["provisioner"] if provisioning == "ensure" else [])
    together = {}
    for role in roles:
        for action, names in table(permissions(role=role, provisioning=provisioning)).items():
            together.setdefault(action, set()).update(names)
    assert one == together


@pytest.mark.parametrize("role", ROLES)
def test_options_that_switch_something_off_take_its_rights_away(role):
    rights = table(
        permissions(role=role, enable_command_listener=False, enable_event_listener=False)
    )
    assert "sqs:ReceiveMessage" not in rights
    assert "sns:Subscribe" not in rights
    off = table(permissions(role=role, enable_command_routing=False, enable_event_routing=False))
    assert "sns:Publish" not in off
    assert not any("shop-mail" in names for names in off.values())


def test_an_app_without_queues_lists_topics_to_learn_its_account():
    def publishing(bus):
        return bus.raise_.event(Paid, topic="paid")

    assert table(permissions(publishing, role="sender")) == {
        "sns:GetTopicAttributes": {"shop-paid"},
        "sns:ListTopics": {"*"},
        "sns:Publish": {"shop-paid"},
    }
    wide = permissions(publishing, role="sender", mode="development")
    assert table(wide)["sns:ListTopics"] == {"*"}


@pytest.mark.parametrize(
    ("monitor", "actions", "alerted"),
    [
        (DeadLetterMonitor(store_records=False), set(), set()),
        (DeadLetterMonitor(), {"ReceiveMessage", "ChangeMessageVisibility"}, set()),
        (
            DeadLetterMonitor(delete_after=True, alerts=(SnsAlert("alarm"),)),
            {"ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage"},
            {"shop-alarm"},
        ),
    ],
)
def test_a_monitor_needs_what_it_does(monitor, actions, alerted):
    rights = table(permissions(dead_letter_monitor=monitor))
    dead = {"shop-pay-dlq.fifo", "shop-bank-events-dlq"}
    for action in ("ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage"):
        assert (dead <= rights[f"sqs:{action}"]) is (action in actions)
    assert dead <= rights["sqs:GetQueueAttributes"]
    assert rights["sns:Publish"] == {"shop-paid"} | alerted


def encrypted(**more):
    return permissions(enable_encryption=True, **{"kms_key_id": "alias/bank", **more})


def test_data_keys_are_made_for_our_messages_and_their_destinations_alone():
    (asked,) = condition(encrypted(role="sender"), "kms:GenerateDataKey")
    assert asked == {
        "StringEquals": {
            "kms:EncryptionContext:source": "/bank",
            "kms:EncryptionContext:destination": [f"{SQS}pay.fifo", f"{SQS}mail", f"{SNS}paid"],
            "kms:RequestAlias": "alias/bank",
        }
    }


def test_data_keys_are_decrypted_for_what_arrives_here_alone():
    found = encrypted(kms_key_id=f"{KMS}1")
    (asked,) = condition(found, "kms:Decrypt")
    assert asked == {
        "StringEquals": {
            "kms:EncryptionContext:destination": [
                f"{SQS}pay.fifo",
                f"{SQS}bank-events",
                f"{SNS}paid",
                f"{SNS}rates",
            ]
        }
    }
    assert table(found)["kms:Decrypt"] == {"key/1"}


def test_data_keys_of_an_alias_are_decrypted_for_what_arrives_here_alone():
    (asked,) = condition(encrypted(), "kms:Decrypt")
    assert asked["ForAnyValue:StringEquals"] == {"kms:ResourceAliases": "alias/bank"}
    assert f"{SQS}pay.fifo" in asked["StringEquals"]["kms:EncryptionContext:destination"]


@pytest.mark.parametrize("role", ["worker", "operator"])
def test_who_takes_nothing_decrypts_nothing(role):
    def sending(bus):
        return bus.send.command(Pay, queue="pay.fifo")

    found = permissions(sending, role=role, kms_key_id="1", enable_encryption=True)
    assert "kms:Decrypt" not in found.actions
    assert table(found)["sqs:SendMessage"] == {"shop-pay.fifo"}
    assert table(found)["kms:GenerateDataKey"] == {"key/1"}


def test_who_listens_to_dead_letters_reads_what_was_sent_to_their_queue():
    def digging(bus):
        return bus.send.command(Mail, queue="mail").listen.to.command_queue("mail-dlq")

    (asked,) = condition(permissions(digging, kms_key_id=f"{KMS}1"), "kms:Decrypt")
    origins = asked["StringEquals"]["kms:EncryptionContext:destination"]
    assert origins == [f"{SQS}mail-dlq", f"{SQS}mail"]


def test_an_operator_encrypts_letters_of_any_app_for_its_queues():
    (asked,) = condition(encrypted(role="operator", kms_key_id=f"{KMS}1"), "kms:GenerateDataKey")
    queues = [f"{SQS}pay.fifo", f"{SQS}mail", f"{SQS}bank-events"]
    assert asked == {"StringEquals": {"kms:EncryptionContext:destination": queues}}


@pytest.mark.parametrize(
    ("name", "resource", "conditions"),
    [
        (f"{KMS}1", f"{KMS}1", set()),
        ("1234", f"{KMS}1234", set()),
        ("alias/bank", f"{KMS}*", {"kms:RequestAlias", "kms:ResourceAliases"}),
        (
            "arn:aws:kms:eu-central-1:999999999999:alias/bank",
            "arn:aws:kms:eu-central-1:999999999999:key/*",
            {"kms:RequestAlias", "kms:ResourceAliases"},
        ),
    ],
)
def test_a_key_is_named_by_its_arn_or_known_by_its_alias(name, resource, conditions):
    found = encrypted(role="worker", kms_key_id=name)
    about_keys = [each for each in found.statements if each.actions[0].startswith("kms:")]
    assert {arn for each in about_keys for arn in each.resources} == {resource}
    keys = {key for each in about_keys for values in each.condition.values() for key in values}
    assert {key for key in keys if "Alias" in key} == conditions
    described = "kms:DescribeKey" in found.actions
    assert described is (name != f"{KMS}1"), "who has the ARN need not ask for it"
    assert any("alias" in note for note in found.notes) is bool(conditions)


def test_further_keys_decrypt_and_do_not_encrypt():
    found = encrypted(kms_key_id=f"{KMS}1", decrypt_key_ids=(f"{KMS}2", "alias/old", "alias/older"))
    rights = table(found)
    assert rights["kms:GenerateDataKey"] == {"key/1"}
    assert rights["kms:Decrypt"] == {"key/1", "key/2", "key/*"}
    by_alias = condition(found, "kms:Decrypt")[1]["ForAnyValue:StringEquals"]
    assert by_alias == {"kms:ResourceAliases": ["alias/old", "alias/older"]}


def test_only_what_is_sent_encrypted_needs_data_keys():
    def partly(bus):
        return bus.send.command(Pay, queue="pay.fifo", encrypt=True).command(Mail, queue="mail")

    (asked,) = condition(permissions(partly, kms_key_id=f"{KMS}1"), "kms:GenerateDataKey")
    assert asked["StringEquals"]["kms:EncryptionContext:destination"] == f"{SQS}pay.fifo"
    assert "kms:GenerateDataKey" not in permissions(kms_key_id=f"{KMS}1").actions
    assert "kms:Decrypt" in permissions(kms_key_id=f"{KMS}1").actions


@pytest.mark.parametrize("role", ["sender", "worker", "operator"])
@pytest.mark.parametrize("mode", ["production", "development"])
def test_who_opens_encrypted_stores_uses_the_key_for_them_alone(role, mode):
    found = permissions(role=role, mode=mode, encrypt_at_rest=True, kms_key_id=f"{KMS}1")
    about = "kms:EncryptionContext:"
    stores = {f"{about}source": "/bank", f"{about}destination": "stores"}
    read = {f"{about}destination": "stores"}
    if mode == "development":
        stores = read = {}
    for action, context in (("kms:GenerateDataKey", stores), ("kms:Decrypt", read)):
        assert ({"StringEquals": context} if context else {}) in condition(found, action)
    assert {"key/1"} == table(found)["kms:Decrypt"] == table(found)["kms:GenerateDataKey"]
    sids = [each.sid for each in found.statements]
    assert len(set(sids)) == len(sids)


def test_who_makes_queues_needs_no_key_of_the_stores():
    found = permissions(role="provisioner", encrypt_at_rest=True, kms_key_id=f"{KMS}1")
    assert not any(action.startswith("kms:") for action in found.actions)


@pytest.mark.parametrize("role", ROLES)
def test_another_key_service_needs_no_right_to_kms(role):
    found = permissions(role=role, keys=LocalKeyProvider(), enable_encryption=True)
    assert not [action for action in found.actions if action.startswith("kms:")]


@pytest.mark.parametrize(
    ("role", "uses"), [*((each, True) for each in ROLES[:3]), ("provisioner", False)]
)
def test_keys_with_which_aws_encrypts_queues_are_used_through_queues_and_topics(role, uses):
    found = permissions(role=role, sse=[f"{KMS}9"])
    assert ("kms:Decrypt" in found.actions) is uses
    if uses:
        assert table(found)["kms:GenerateDataKey"] == {"key/9"}
        hosts = ["sqs.eu-central-1.amazonaws.com", "sns.eu-central-1.amazonaws.com"]
        assert condition(found, "kms:Decrypt") == [{"StringEquals": {"kms:ViaService": hosts}}]


@pytest.mark.parametrize("role", ROLES)
def test_production_has_no_wildcard(role):
    monitor = DeadLetterMonitor(alerts=(SnsAlert("alarm"),))
    found = encrypted(
        role=role, kms_key_id=f"{KMS}1", provisioning="ensure", dead_letter_monitor=monitor
    )
    for statement in found.statements:
        assert not [each for each in (*statement.actions, *statement.resources) if "*" in each]


@pytest.mark.parametrize("role", ROLES)
def test_development_covers_whatever_begins_with_the_prefix(role):
    narrow = encrypted(role=role, provisioning="verify")
    wide = encrypted(role=role, provisioning="verify", mode="development")
    assert table(wide)["sqs:*" if role is None else "sqs:GetQueueUrl"] == {"shop-*"}
    if role is not None:
        assert set(wide.actions) == set(narrow.actions)
    assert not any("EncryptionContext" in json.dumps(each.to_dict()) for each in wide.statements)
    assert len(wide.statements) <= 5


@pytest.mark.parametrize("mode", ["production", "development"])
@pytest.mark.parametrize("role", ROLES)
def test_ids_of_statements_are_what_iam_takes(mode, role):
    found = encrypted(
        role=role,
        mode=mode,
        provisioning="ensure",
        decrypt_key_ids=("alias/a", "arn:aws:kms:eu-central-1:999999999999:alias/b", f"{KMS}1"),
        sse=[f"{KMS}9"],
    )
    sids = [each.sid for each in found.statements]
    assert len(set(sids)) == len(sids)
    assert all(re.fullmatch(r"[A-Za-z0-9]+", sid) for sid in sids)


def test_queues_that_topics_deliver_into_have_the_policy_that_provisioning_writes():
    policies = permissions().queue_policies
    assert list(policies) == [f"{SQS}bank-events", f"{SQS}bank-events-dlq"]
    for arn, policy in policies.items():
        check_policy(json.dumps(policy))
        (statement,) = policy["Statement"]
        assert statement["Resource"] == arn
        assert statement["Condition"]["ArnEquals"] == {
            "aws:SourceArn": [f"{SNS}paid", f"{SNS}rates"]
        }


def test_keys_let_iam_decide_and_those_of_queues_let_topics_deliver():
    policies = encrypted(sse=[f"{KMS}9"]).key_policies
    assert list(policies) == ["alias/bank", f"{KMS}9"]
    own, sse = policies.values()
    for policy in (own, sse):
        check_policy(json.dumps(policy))
        assert policy["Statement"][0]["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert len(own["Statement"]) == 1
    delivering = sse["Statement"][1]
    assert delivering["Principal"] == {"Service": "sns.amazonaws.com"}
    assert delivering["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}


def test_notes_say_what_a_reader_may_overlook():
    assert permissions().notes == ()
    for role in ("sender", "worker"):
        (note,) = permissions(role=role, provisioning="ensure").notes
        assert "rights of the provisioner too" in note
    assert permissions(role="operator", provisioning="ensure").notes == ()
    (note,) = permissions(mode="development", resource_prefix="").notes
    assert "every queue and topic of the account" in note


def wide(bus, count=160):
    """Sends to and listens to, publishes and subscribes to so many of each."""
    for number in range(count):
        members = {"__annotations__": {"id": Key[str]}, "__module__": __name__}
        bus = bus.send.command(type(f"Command{number}", (Command,), members), queue=f"q-{number}")
        bus = bus.raise_.event(type(f"Event{number}", (Event,), members), topic=f"t-{number}")
    for number in range(count):
        bus = bus.listen.to.command_queue(f"q-{number}").subscribe.to.topic(f"t-{number}")
    return bus


@pytest.mark.parametrize("role", ROLES)
def test_an_app_of_hundreds_of_queues_and_topics_has_policies_too(role):
    found = permissions(wide, role=role, enable_encryption=True, kms_key_id=f"{KMS}1")
    for document in found.documents():
        check_identity_policy(json.dumps(document))
    written = [each for document in found.documents() for each in document["Statement"]]
    assert {
        (action, arn) for each in written for action in each["Action"] for arn in each["Resource"]
    } == {
        (action, arn)
        for each in found.statements
        for action in each.actions
        for arn in each.resources
    }
    assert found.queue_policies == {}
    assert [note.partition(" would take")[0] for note in found.notes] == [
        f"PolicyTooLong: the policy of {SQS}bank-events",
        f"PolicyTooLong: the policy of {SQS}bank-events-dlq",
    ]


@pytest.mark.parametrize(
    "name", ["alias/aws/sqs", "1234", f"{KMS[:-4]}alias/queues", "*", f"{KMS}*"]
)
def test_a_key_of_aws_is_named_by_its_arn_or_refused(name):
    with pytest.raises(
        ValueError, match="is not named by its ARN, which a policy needs: arn:aws:k"
    ):
        permissions(sse=[name])


@pytest.mark.parametrize("mode", ["production", "development"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("region", ["eu-central-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("key", ["alias/bank", "1234", f"{KMS}1"])
def test_what_is_written_is_a_policy(key, region, role, mode):
    options = AwsOptions(
        region=region,
        enable_encryption=True,
        kms_key_id=key,
        encrypt_at_rest=True,
        dead_letter_monitor=DeadLetterMonitor(alerts=(SnsAlert("alarm"),)),
    )
    found = AwsTransport(options, whole).permissions(
        "bank", account=ACCOUNT, role=role, mode=mode, sse_keys=[f"{KMS}9"]
    )
    for document in found.documents():
        check_identity_policy(json.dumps(document))
    for policy in (*found.queue_policies.values(), *found.key_policies.values()):
        check_policy(json.dumps(policy))


@pytest.mark.parametrize(
    ("wrong", "named"), [({"role": "admin"}, "role is"), ({"mode": "strict"}, "mode is")]
)
def test_there_are_no_other_roles_and_modes(wrong, named):
    with pytest.raises(ValueError, match=named):
        permissions(**wrong)


def test_the_region_may_be_another_one_than_that_of_the_options():
    transport = AwsTransport(AwsOptions(region="eu-central-1"), whole)
    found = transport.permissions("bank", account=ACCOUNT, region="cn-north-1")
    arns = {arn for each in found.statements for arn in each.resources}
    assert all(re.match(r"arn:aws-cn:\w+:cn-north-1:", arn) for arn in arns)
