from __future__ import annotations

import pytest

from sourceflow.transports.aws.client.xml import InvalidXmlError, parse_xml


def test_names_lose_their_namespace():
    root = parse_xml(b'<A xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><B>text</B></A>')
    assert (root.tag, root.findtext("B")) == ("A", "text")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<A>",
        b"upstream connect error",
        b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>'.encode(
            "utf-16"
        ),
    ],
)
def test_what_aws_would_not_send_is_refused(document):
    with pytest.raises(InvalidXmlError):
        parse_xml(document)
