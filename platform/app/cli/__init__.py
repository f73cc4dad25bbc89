"""The command `emporium`."""
