"""The kms of LocalAws."""
