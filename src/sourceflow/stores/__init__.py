"""Where state, logs, outbox and inbox are kept."""
