"""EM: where it begins, its steps, and many fits in one call."""
