"""Places with a kernel: how to reach the agent there."""
