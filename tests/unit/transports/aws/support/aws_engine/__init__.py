"""A service of several processes on LocalAws, with a clock, faults and a ledger."""
