"""Contracts between the modules: every boundary as a gate that is checked by one command, `emporium contracts check`."""
