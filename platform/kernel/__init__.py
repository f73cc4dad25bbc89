"""The kernel: what every module may import. It imports no module.

Layers, each may import those below it: `module` > `http` > `database` > `pure` (held by import-linter).
"""
