"""The composition root: wires the kernel and every module into one application. Nobody imports it."""
