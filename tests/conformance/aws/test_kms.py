"""Keys of KMS: what they encrypt, in which context, in which state."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

CONTEXT = {"source": "orders", "destination": "billing"}
DRY_RUN = "KMS developer guide, Testing your permissions"
UNKNOWN_ID = "00000000-0000-4000-a000-000000000000"


@pytest.fixture
def kms(backend):
    return backend.kms


@pytest.fixture
def key(backend):
    return backend.key()


def generate(kms, key, **parameters):
    asked = {"KeySpec": "AES_256", "EncryptionContext": CONTEXT, **parameters}
    return kms.generate_data_key(KeyId=key, **asked)


def decrypt(kms, blob, **parameters):
    return kms.decrypt(CiphertextBlob=blob, **{"EncryptionContext": CONTEXT, **parameters})


def test_a_data_key_is_decrypted_in_its_context(kms, key):
    made = generate(kms, key)
    assert made["KeyId"] == key
    assert len(made["Plaintext"]) == 32
    assert made["Plaintext"] not in made["CiphertextBlob"]
    found = decrypt(kms, made["CiphertextBlob"], KeyId=key)
    assert (found["Plaintext"], found["KeyId"]) == (made["Plaintext"], key)


def test_the_algorithm_is_named(backend, kms, key):
    made = kms.encrypt(KeyId=key, Plaintext=b"x")
    found = kms.decrypt(CiphertextBlob=made["CiphertextBlob"])
    backend.lax("it names none", rule="KMS API reference, Decrypt, EncryptionAlgorithm")
    assert made.get("EncryptionAlgorithm") == "SYMMETRIC_DEFAULT"
    assert found.get("EncryptionAlgorithm") == "SYMMETRIC_DEFAULT"


def test_every_data_key_is_another(kms, key):
    one, other = generate(kms, key), generate(kms, key)
    assert one["Plaintext"] != other["Plaintext"]
    assert one["CiphertextBlob"] != other["CiphertextBlob"]


@pytest.mark.parametrize(
    ("asked", "size"), [({"KeySpec": "AES_128"}, 16), ({"NumberOfBytes": 64}, 64)]
)
def test_a_data_key_is_as_long_as_it_is_asked(backend, kms, key, asked, size):
    backend.lax("it makes 32 bytes", rule="KMS API reference, GenerateDataKey, NumberOfBytes")
    assert len(kms.generate_data_key(KeyId=key, **asked)["Plaintext"]) == size


@pytest.mark.parametrize("asked", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
def test_the_length_of_a_data_key_is_said_once(backend, kms, key, asked):
    backend.lax("it asks for neither", rule="KMS API reference, GenerateDataKey, KeySpec")
    with backend.refused("ValidationException"):
        kms.generate_data_key(KeyId=key, **asked)


def test_a_data_key_can_be_made_without_showing_it(kms, key):
    made = kms.generate_data_key_without_plaintext(
        KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT
    )
    assert "Plaintext" not in made
    assert len(decrypt(kms, made["CiphertextBlob"])["Plaintext"]) == 32


def test_what_is_encrypted_is_decrypted(kms, key):
    made = kms.encrypt(KeyId=key, Plaintext=b"x" * 4096, EncryptionContext=CONTEXT)
    assert made["KeyId"] == key
    assert decrypt(kms, made["CiphertextBlob"])["Plaintext"] == b"x" * 4096


def test_no_more_than_4096_bytes_are_encrypted(backend, kms, key):
    with backend.refused("ValidationException"):
        kms.encrypt(KeyId=key, Plaintext=b"x" * 4097)


def test_the_order_of_a_context_does_not_count(kms, key):
    made = generate(kms, key)
    context = dict(reversed(CONTEXT.items()))
    assert decrypt(kms, made["CiphertextBlob"], EncryptionContext=context)["Plaintext"]


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"source": "orders"},
        {**CONTEXT, "destination": "shipping"},
        {**CONTEXT, "more": "x"},
        {"source": "ORDERS", "destination": "billing"},
    ],
)
def test_another_context_is_refused(backend, kms, key, context):
    made = generate(kms, key)
    with backend.refused("InvalidCiphertextException"):
        decrypt(kms, made["CiphertextBlob"], EncryptionContext=context)


@pytest.mark.parametrize("where", [-1, -20, 40])
def test_a_ciphertext_that_was_changed_is_refused(backend, kms, key, where):
    blob = bytearray(generate(kms, key)["CiphertextBlob"])
    blob[where] ^= 1
    with backend.refused("InvalidCiphertextException"):
        decrypt(kms, bytes(blob), KeyId=key)


@pytest.mark.parametrize("cut", [slice(0, -1), slice(0, 20), slice(0, 1), slice(1, None)])
def test_a_ciphertext_that_was_cut_is_refused(backend, kms, key, cut):
    blob = generate(kms, key)["CiphertextBlob"][cut]
    with backend.refused("InvalidCiphertextException", "IncorrectKeyException"):
        decrypt(kms, blob, KeyId=key)


def test_a_ciphertext_of_more_than_6144_bytes_is_refused(backend, kms, key):
    backend.lax("it looks at the bytes", rule="KMS API reference, Decrypt, CiphertextBlob")
    with backend.refused("ValidationException"):
        decrypt(kms, b"x" * 6145, KeyId=key)


def test_another_key_is_refused(backend, kms, key):
    made = generate(kms, key)
    with backend.refused("IncorrectKeyException"):
        decrypt(kms, made["CiphertextBlob"], KeyId=backend.key())


@pytest.mark.parametrize(
    "name", ["arn:aws:kms:us-east-1:000000000000:key/" + UNKNOWN_ID, UNKNOWN_ID, "alias/none", "x"]
)
def test_a_key_that_is_not_there_is_not_found(backend, kms, key, name):
    made = generate(kms, key)
    with backend.refused("NotFoundException"):
        generate(kms, name)
    with backend.refused("NotFoundException"):
        decrypt(kms, made["CiphertextBlob"], KeyId=name)
    with backend.refused("NotFoundException"):
        kms.describe_key(KeyId=name)


def test_a_key_of_another_region_is_not_found(backend, kms, key):
    with backend.refused("NotFoundException", text="eu-west-1"):
        generate(kms, key.replace("us-east-1", "eu-west-1"))


def test_a_key_of_a_stranger_is_forbidden(backend, kms, key):
    backend.lax("it has no strangers", rule="KMS developer guide, Troubleshooting key access")
    with backend.refused("AccessDeniedException"):
        generate(kms, key.replace("000000000000", "999999999999"))


def test_an_arn_that_names_no_key_is_refused(local_aws):
    """LocalStack fails at it with an error of its own."""
    with local_aws.refused("InvalidArnException"):
        local_aws.kms.describe_key(KeyId="arn:aws:sqs:us-east-1:000000000000:orders")


def test_a_key_is_described(kms, key):
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["Arn"] == key
    assert key.endswith(f":key/{metadata['KeyId']}")
    assert (metadata["KeyState"], metadata["Enabled"]) == ("Enabled", True)
    assert (metadata["KeyUsage"], metadata["KeySpec"]) == ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")


def test_a_key_that_was_made_is_listed(kms, key):
    assert key in [each["KeyArn"] for each in kms.list_keys(Limit=1000)["Keys"]]


def test_an_alias_leads_to_its_key_by_name_and_arn(backend, kms, key):
    alias = backend.alias(key)
    (listed,) = kms.list_aliases(KeyId=key)["Aliases"]
    assert listed["AliasName"] == alias
    for name in (alias, listed["AliasArn"]):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key
        made = generate(kms, name)
        assert made["KeyId"] == key
        assert decrypt(kms, made["CiphertextBlob"], KeyId=name)["KeyId"] == key


def test_an_alias_that_moved_decrypts_no_longer_what_its_old_key_encrypted(backend, kms, key):
    alias = backend.alias(key)
    made = generate(kms, alias)
    other = backend.key()
    # By its id: LocalStack loses an alias that is moved to an ARN.
    kms.update_alias(AliasName=alias, TargetKeyId=other.rpartition("/")[2])
    assert generate(kms, alias)["KeyId"] == other
    with backend.refused("IncorrectKeyException"):
        decrypt(kms, made["CiphertextBlob"], KeyId=alias)
    assert decrypt(kms, made["CiphertextBlob"], KeyId=key)["Plaintext"] == made["Plaintext"]


def test_an_alias_is_made_once(backend, kms, key):
    alias = backend.alias(key)
    with backend.refused("AlreadyExistsException"):
        kms.create_alias(AliasName=alias, TargetKeyId=key)


def test_a_deleted_alias_is_not_found(backend, kms, key):
    alias = backend.alias(key)
    kms.delete_alias(AliasName=alias)
    with backend.refused("NotFoundException"):
        generate(kms, alias)
    with backend.refused("NotFoundException"):
        kms.delete_alias(AliasName=alias)
    with backend.refused("NotFoundException"):
        kms.update_alias(AliasName=alias, TargetKeyId=key)


def test_the_name_of_an_alias_begins_with_alias(backend, kms, key):
    with backend.refused("ValidationException"):
        kms.create_alias(AliasName="orders", TargetKeyId=key)


@pytest.mark.parametrize(
    ("name", "code"),
    [("alias/a b", "ValidationException"), ("alias/aws/sqs", "NotAuthorizedException")],
)
def test_not_every_name_of_an_alias_is_allowed(backend, kms, key, name, code):
    backend.lax("it takes every name", rule="KMS API reference, CreateAlias, AliasName")
    try:
        with backend.refused(code):
            kms.create_alias(AliasName=name, TargetKeyId=key)
    finally:
        if not backend.is_local_aws:
            kms.delete_alias(AliasName=name)


def test_who_manages_a_key_names_it_by_no_alias(backend, kms, key):
    alias = backend.alias(key)
    backend.lax("it takes an alias", rule="KMS API reference, DisableKey, KeyId")
    with backend.refused("NotFoundException"):
        kms.disable_key(KeyId=alias)


def test_what_was_encrypted_before_a_rotation_is_decrypted_after_it(kms, key):
    before = generate(kms, key)
    kms.rotate_key_on_demand(KeyId=key)
    after = generate(kms, key)
    for made in (before, after):
        found = decrypt(kms, made["CiphertextBlob"], KeyId=key)
        assert (found["Plaintext"], found["KeyId"]) == (made["Plaintext"], key)


def test_a_key_is_rotated_25_times(local_aws):
    """LocalStack stops after 10, as AWS did before."""
    key = local_aws.key()
    for _ in range(25):
        local_aws.kms.rotate_key_on_demand(KeyId=key)
    with local_aws.refused("LimitExceededException"):
        local_aws.kms.rotate_key_on_demand(KeyId=key)


def test_a_disabled_key_does_nothing_until_it_is_enabled(backend, kms, key):
    made = generate(kms, key)
    kms.disable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    for call in (
        lambda: generate(kms, key),
        lambda: decrypt(kms, made["CiphertextBlob"], KeyId=key),
        lambda: decrypt(kms, made["CiphertextBlob"]),
        lambda: kms.encrypt(KeyId=key, Plaintext=b"x"),
        lambda: kms.rotate_key_on_demand(KeyId=key),
    ):
        with backend.refused("DisabledException", status=400):
            call()
    kms.enable_key(KeyId=key)
    assert decrypt(kms, made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]


def test_a_key_that_will_be_deleted_does_nothing_until_that_is_cancelled(backend, kms, key):
    made = generate(kms, key)
    scheduled = kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert scheduled["KeyId"] in {key, key.rpartition("/")[2]}  # LocalStack's is the id
    metadata = kms.describe_key(KeyId=key)["KeyMetadata"]
    assert metadata["KeyState"] == "PendingDeletion"
    assert metadata["DeletionDate"] == scheduled["DeletionDate"]
    for call in (
        lambda: generate(kms, key),
        lambda: decrypt(kms, made["CiphertextBlob"], KeyId=key),
        lambda: kms.enable_key(KeyId=key),
        lambda: kms.disable_key(KeyId=key),
        lambda: kms.create_alias(AliasName=backend.alias_name(), TargetKeyId=key),
    ):
        with backend.refused("KMSInvalidStateException", status=400):
            call()
    assert kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    kms.enable_key(KeyId=key)
    assert decrypt(kms, made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]


def test_a_deletion_is_scheduled_once_and_cancelled_once(backend, kms, key):
    with backend.refused("KMSInvalidStateException"):
        kms.cancel_key_deletion(KeyId=key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with backend.refused("KMSInvalidStateException"):
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def test_a_key_is_gone_when_its_time_has_come(local_aws):
    kms, key = local_aws.kms, local_aws.key()
    alias, made = local_aws.alias(key), generate(kms, key)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    local_aws.advance(timedelta(days=7, seconds=-1))
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    local_aws.advance(timedelta(seconds=1))
    for call in (
        lambda: kms.describe_key(KeyId=key),
        lambda: kms.describe_key(KeyId=alias),
        lambda: decrypt(kms, made["CiphertextBlob"]),
    ):
        with local_aws.refused("NotFoundException"):
            call()


@pytest.mark.parametrize("days", [6, 31])
def test_a_key_waits_7_to_30_days_for_its_deletion(backend, kms, key, days):
    with backend.refused("ValidationException"):
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=days)


def test_a_dry_run_that_would_succeed_says_so_and_does_nothing(backend, kms, key):
    made = generate(kms, key)
    backend.lax("it ignores DryRun", rule=DRY_RUN)
    for call in (
        lambda: generate(kms, key, DryRun=True),
        lambda: kms.encrypt(KeyId=key, Plaintext=b"x", DryRun=True),
        lambda: decrypt(kms, made["CiphertextBlob"], KeyId=key, DryRun=True),
    ):
        with backend.refused("DryRunOperationException"):
            call()


def test_a_dry_run_that_would_fail_says_how(backend, kms, key):
    made = generate(kms, key)
    with backend.refused("InvalidCiphertextException"):
        decrypt(kms, made["CiphertextBlob"], EncryptionContext={}, DryRun=True)
    kms.disable_key(KeyId=key)
    with backend.refused("DisabledException"):
        generate(kms, key, DryRun=True)
    with backend.refused("DisabledException"):
        decrypt(kms, made["CiphertextBlob"], DryRun=True)


def allowing(*actions, **condition):
    """Return a key policy that allows the account some operations."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "000000000000"},
        "Action": [f"kms:{action}" for action in actions],
        "Resource": "*",
        "Condition": condition,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_key_policy_says_who_may_do_what(backend, kms, key):
    made = generate(kms, key)
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=allowing("Decrypt", "PutKeyPolicy"))
    backend.lax("it reads no policy", rule="KMS developer guide, Key policies in AWS KMS")
    assert decrypt(kms, made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
    for call in (lambda: generate(kms, key), lambda: kms.describe_key(KeyId=key)):
        with backend.refused("AccessDeniedException", text="is not authorized", status=400):
            call()


def test_a_key_policy_may_ask_for_a_context(backend, kms):
    context = {"kms:EncryptionContext:source": "orders"}
    key = backend.key(
        Policy=allowing("GenerateDataKey", "Decrypt", "PutKeyPolicy", StringEquals=context)
    )
    assert generate(kms, key)["KeyId"] == key
    backend.lax("it reads no policy", rule="KMS developer guide, Condition keys for AWS KMS")
    with backend.refused("AccessDeniedException"):
        generate(kms, key, EncryptionContext={"source": "shipping"})


def test_a_key_policy_that_is_none_is_refused(backend, kms, key):
    backend.lax("it reads no policy", rule="KMS API reference, PutKeyPolicy, Errors")
    with backend.refused("MalformedPolicyDocumentException"):
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy="{")


def test_keys_that_sign_are_not_those_of_local_aws(local_aws):
    with local_aws.refused("UnsupportedOperationException"):
        local_aws.key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")


def test_an_operation_that_is_unknown_is_refused(local_aws):
    with local_aws.refused("UnknownOperationException"):
        local_aws.kms.list_grants(KeyId="x")
