"""The demonstration: two applications from raw data to an answering endpoint, side by side."""
