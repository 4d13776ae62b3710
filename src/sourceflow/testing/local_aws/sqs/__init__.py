"""The sqs of LocalAws."""
