from __future__ import annotations

from sourceflow.transports.aws import client


def test_the_client_exports_these_names():
    assert client.__all__ == (
        "AttributeValue",
        "BatchFailure",
        "BatchResult",
        "BatchSuccess",
        "ChainCredentials",
        "Credentials",
        "CredentialsProvider",
        "DataKey",
        "DecryptedKey",
        "DeleteEntry",
        "DirectClient",
        "Endpoint",
        "HttpClient",
        "KeyDescription",
        "KmsClient",
        "MessageMoveTask",
        "PublishEntry",
        "ReceivedMessage",
        "RetryPolicy",
        "RetryStats",
        "SendEntry",
        "SnsClient",
        "SqsClient",
        "StaticCredentials",
        "SystemAttributes",
        "VisibilityEntry",
        "open_http_client",
        "resolve_endpoint",
    )
    assert all(hasattr(client, name) for name in client.__all__)
