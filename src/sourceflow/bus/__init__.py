"""How a message moves inside a process."""
