"""The queue of human requests."""
