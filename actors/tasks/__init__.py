"""What Ray tasks run."""
