"""Ways to reach another file without an import statement: claim, file, its lines, and what the finding says."""

from __future__ import annotations

from typing import Final

HIDDEN: Final[list[tuple[str, str, str, str]]] = [
    (
        "by_importlib",
        "modules/ordering/service/h1.py",
        "import importlib\nimportlib.import_module('catalog.models')",
        "catalog.models by importlib.import_module",
    ),
    (
        "under_another_name",
        "modules/ordering/service/h2.py",
        "from importlib import import_module as load\nload(name='catalog.crud')",
        "catalog.crud by importlib.import_module",
    ),
    (
        "by_the_builtin",
        "modules/ordering/service/h3.py",
        "def late() -> object:\n    return __import__('catalog.models').models",
        "catalog.models by __import__",
    ),
    (
        "by_a_text_that_is_put_together",
        "modules/ordering/service/h4.py",
        "import importlib as i\nPART = 'crud'\ni.import_module(f'catalog.{PART}' + '.stock')",
        "catalog.crud.stock by",
    ),
    (
        "by_a_computed_name",
        "modules/ordering/service/h5.py",
        "import importlib\ndef load(name: str) -> object:\n    return importlib.import_module(name)",
        "a computed name by importlib.import_module",
    ),
    (
        "by_a_loader_that_is_passed_on",
        "modules/ordering/service/h6.py",
        "from importlib import import_module\nfound = list(map(import_module, ['catalog.crud']))",
        "a computed name by importlib.import_module",
    ),
    (
        "by_getattr",
        "modules/ordering/service/h7.py",
        "import importlib\ngetattr(importlib, 'import_' + 'module')('catalog.models')",
        "catalog.models by importlib.import_module",
    ),
    (
        "by_runpy",
        "modules/users/service/h1.py",
        "import runpy\nrunpy.run_module('ordering.service')",
        "ordering.service by runpy.run_module",
    ),
    (
        "by_sys_modules",
        "modules/users/service/h2.py",
        "import sys\nsys.modules['ordering.service']",
        "ordering.service by sys.modules",
    ),
    (
        "by_a_spec",
        "platform/kernel/database/h1.py",
        "from importlib.util import find_spec\nfind_spec('users.models')",
        "users.models by importlib.util.find_spec",
    ),
    (
        "by_exec",
        "modules/users/service/h3.py",
        "exec('from ordering.service import *')",
        "ordering.service.* by exec",
    ),
    (
        "by_a_computed_text",
        "modules/users/service/h4.py",
        "def run(code: str) -> None:\n    exec(code)",
        "a computed name by exec",
    ),
    (
        "as_an_attribute_of_a_package",
        "modules/ordering/service/h8.py",
        "import catalog.interface\nTABLE = catalog.models.Product",
        "catalog.models by an attribute",
    ),
    (
        "by_entry_points",
        "modules/users/service/h5.py",
        "from importlib.metadata import entry_points as found\nfound(group='emporium.modules')",
        "a computed name by importlib.metadata.entry_points",
    ),
    (
        "by_name_in_a_revision",
        "modules/catalog/migrations/0003_planted.py",
        "import importlib\nimportlib.import_module('catalog.models')",
        "catalog.models by",
    ),
    (
        "of_a_modules_inside_in_app",
        "platform/app/h1.py",
        "import importlib\nimportlib.import_module('catalog.service')",
        "catalog.service by",
    ),
    (
        "by_name_in_a_test",
        "tests/ordering/test_planted_h1.py",
        "import importlib\nimportlib.import_module('catalog.service')",
        "catalog.service by",
    ),
    (
        "by_a_patch_in_a_test",
        "tests/ordering/test_planted_h2.py",
        "def test_it(monkeypatch) -> None:\n    monkeypatch.setattr('catalog.service.products.create', None)",
        "catalog.service.products.create by setattr",
    ),
    (
        "by_a_mock_in_a_test",
        "tests/ordering/test_planted_h3.py",
        "from unittest import mock\n@mock.patch('catalog.crud.stock.take')\ndef test_it(_) -> None: ...",
        "catalog.crud.stock.take by patch",
    ),
    (
        "by_a_plugin_of_tests",
        "tests/users/test_planted_h1.py",
        "pytest_plugins = ['catalog.service']",
        "catalog.service by pytest_plugins",
    ),
    (
        "in_a_script_of_a_test",
        "tests/users/test_planted_h2.py",
        "SCRIPT = 'import sys\\nfrom catalog.service import X\\nprint(X)'",
        "catalog.service.X by a text",
    ),
]
