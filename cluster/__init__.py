"""How a system is started and reached."""
