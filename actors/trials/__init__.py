"""The warm workers that trials run on."""
