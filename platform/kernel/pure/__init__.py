"""The pure layer: values, errors, events and principals. Standard library only; interfaces may import it."""
