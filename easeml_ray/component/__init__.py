"""The contract of a component: its state, its work, and the data that its work starts from."""
