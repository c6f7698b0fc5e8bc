"""What runs the components anywhere, and what comes to them from outside."""
