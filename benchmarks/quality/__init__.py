"""Quality of trained networks, and equality of training across devices and number formats."""
