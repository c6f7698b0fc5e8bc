"""The runtime: one long-lived Ray actor a file, each a thin shell."""
