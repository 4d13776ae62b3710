"""What telemetry is called."""
