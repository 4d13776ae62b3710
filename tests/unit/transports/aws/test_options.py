from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from datetime import timedelta

import pytest

from sourceflow.resilience import CircuitOptions
from sourceflow.transports.aws import AwsOptions

#: What the design promises without a word from the user.
DEFAULTS = {
    "enable_command_routing": True,
    "enable_event_routing": True,
    "enable_command_listener": True,
    "enable_event_listener": True,
    "max_concurrent_calls": 10,
    "enable_encryption": False,
    "kms_key_id": None,
    "decrypt_key_ids": (),
    "require_encryption": False,
    "encrypt_at_rest": False,
    "data_key_lifetime": timedelta(minutes=5),
    "endpoint_url": None,
    "wait_time": timedelta(seconds=20),
    "visibility_timeout": timedelta(seconds=30),
    "message_retention": timedelta(days=4),
    "max_attempts": 5,
    "unheard_events": "acknowledge",
    "strict_order": False,
    "linger": timedelta(0),
    "send_timeout": timedelta(seconds=60),
    "circuit_breaker": CircuitOptions(),
    "shutdown_grace": timedelta(seconds=30),
    "dead_letter_monitor": None,
    "provisioning": "ensure",
    "resource_prefix": "",
}


def test_the_defaults_are_those_of_the_design():
    options = AwsOptions(region="eu-central-1")

    assert {field.name: getattr(options, field.name) for field in fields(options)} == {
        "region": "eu-central-1",
        **DEFAULTS,
    }


def test_a_region_that_is_not_given_is_that_of_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert AwsOptions().region == "eu-west-1"
    assert AwsOptions(region="eu-central-1").region == "eu-central-1"

    monkeypatch.setenv("AWS_DEFAULT_REGION", "Ireland")
    with pytest.raises(ValueError, match="region 'Ireland' is not the name of one"):
        AwsOptions()

    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(ValueError, match=r"no region is given: .* the variable AWS_DEFAULT_REGION"):
        AwsOptions()


def test_options_are_frozen_and_given_by_name():
    with pytest.raises(TypeError):
        AwsOptions("eu-central-1")
    with pytest.raises(FrozenInstanceError):
        AwsOptions(region="eu-central-1").region = "us-east-1"


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"region": "US East"}, "region 'US East'"),
        ({"region": None}, "region None"),
        ({"max_concurrent_calls": 0}, "max_concurrent_calls is at least 1, not 0"),
        ({"max_attempts": 0}, "max_attempts is at least 1, not 0"),
        ({"max_attempts": 334}, "max_attempts is at most 333, not 334"),
        ({"linger": timedelta(milliseconds=6)}, "linger is from 0:00:00 to 0:00:00.005000"),
        ({"send_timeout": timedelta(seconds=-1)}, "send_timeout is at least 0:00:00"),
        ({"wait_time": timedelta(seconds=21)}, "wait_time is from 0:00:00 to 0:00:20"),
        ({"wait_time": timedelta(seconds=-1)}, "wait_time"),
        ({"visibility_timeout": timedelta(0)}, "visibility_timeout is from 0:00:01 to 12:00:00"),
        ({"visibility_timeout": timedelta(hours=13)}, "visibility_timeout"),
        ({"message_retention": timedelta(seconds=59)}, "message_retention is from 0:01:00 to 14"),
        ({"message_retention": timedelta(days=15)}, "message_retention"),
        ({"unheard_events": "drop"}, "unheard_events is 'acknowledge' or 'retry', not 'drop'"),
        ({"shutdown_grace": timedelta(seconds=-1)}, "shutdown_grace is at least 0:00:00"),
        ({"provisioning": "maybe"}, "provisioning is 'ensure', 'verify' or 'off', not 'maybe'"),
        ({"resource_prefix": "a b"}, "resource_prefix 'a b'"),
        ({"resource_prefix": "x" * 41}, "at most 40"),
        ({"kms_key_id": " "}, "' ' is no key of KMS"),
        ({"decrypt_key_ids": ("",)}, "'' is no key of KMS"),
        ({"data_key_lifetime": timedelta(0)}, "data_key_lifetime is from 0:00:01 to 1 day"),
        ({"data_key_lifetime": timedelta(hours=25)}, "data_key_lifetime"),
        ({"endpoint_url": "localhost:4566"}, "endpoint_url 'localhost:4566'"),
        ({"endpoint_url": "ftp://localhost"}, "endpoint_url"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(option, text):
    with pytest.raises(ValueError, match=text):
        AwsOptions(**{"region": "us-east-1", **option})


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ({"wait_time": 20}, "wait_time is a timedelta, not int"),
        ({"max_concurrent_calls": "10"}, "max_concurrent_calls is a whole number, not str"),
        ({"max_concurrent_calls": True}, "max_concurrent_calls is a whole number, not bool"),
        ({"max_attempts": 2.5}, "max_attempts is a whole number, not float"),
        ({"dead_letter_monitor": timedelta(60)}, "dead_letter_monitor is a DeadLetterMonitor, not"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(option, text):
    with pytest.raises(TypeError, match=text):
        AwsOptions(region="us-east-1", **option)
