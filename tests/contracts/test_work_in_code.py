"""What the gate `work` takes for a broken unit of work in the code, and what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.contracts.facts import Facts
from app.contracts.gate import Bench
from app.contracts.gates.work.loading import check_files
from app.contracts.gates.work.outside import check_outside_calls
from app.contracts.gates.work.transactions import check_transactions

IN_BLOCK = "def f(self, crud, gateway: PaymentGateway):\n    with self._database.transaction() as session:\n"


def found_in(root: Path, file: str, code: str) -> list[str]:
    """The rules that a module `shop` of one file breaks."""
    path = root / "modules/shop" / file
    path.parent.mkdir(parents=True)
    path.write_text(code)
    (root / "platform/kernel").mkdir(parents=True)
    bench = Bench(root=root)
    bench.__dict__["facts"] = {"shop": Facts(name="shop")}
    checks = (check_transactions, check_outside_calls, check_files)
    return [finding.rule.removeprefix("work/") for check in checks for finding in check(bench)]


@pytest.mark.parametrize(
    ("file", "code", "rules"),
    [
        ("crud.py", "def f(session):\n    session.commit()", ["commit"]),
        ("crud.py", "def f(session):\n    done = session.rollback\n    done()", ["commit"]),
        ("crud.py", 'def f(session):\n    getattr(session, "commit")()', ["commit"]),
        ("crud.py", 'from sqlalchemy import text as t\n_C = t("  commit")', ["commit"]),
        ("crud.py", 'def f(c):\n    c.exec_driver_sql("SAVEPOINT a")', ["commit"]),
        ("service.py", 'def f(c):\n    c.execution_options(isolation_level="AUTOCOMMIT")', ["commit"]),
        ("crud.py", 'def f(s):\n    s.connection(execution_options={"isolation_level": "AUTOCOMMIT"})', ["commit"]),
        ("crud.py", "from sqlalchemy.orm import Session\ndef f(s: Session):\n    s.close()", ["commit"]),
        ("crud.py", "from sqlalchemy.orm import Session\ndef f(s: Session):\n    end = s.invalidate\n    end()", ["commit"]),
        ("service.py", "def f(session):\n    with session.begin_nested():\n        pass", ["commit"]),
        ("crud.py", "def f(database):\n    with database.read() as c:\n        pass", ["transaction-outside-service"]),
        ("router/a.py", "def f(x):\n    with x.transaction():\n        pass", ["transaction-outside-service"]),
        ("cli.py", "def f(x):\n    with x.attempt():\n        pass", ["transaction-outside-service"]),
        (
            "service.py",
            "from sqlalchemy.orm import Session\ndef f(c):\n    return Session(c).execute(1)",
            ["transaction-outside-service"],
        ),
        ("service.py", IN_BLOCK + "        self._session = session", ["session-kept"]),
        ("service.py", IN_BLOCK + "        self._session: object = session", ["session-kept"]),
        ("service.py", IN_BLOCK + "        return session, 1", ["session-kept"]),
        ("service.py", IN_BLOCK + "        return partial(crud.read, session)", ["session-kept"]),
        ("service.py", "def f(self, stack):\n    s = stack.enter_context(self._database.transaction())", ["session-kept"]),
        ("service.py", "def f(self):\n    b = self._database.read()\n    c = b.__enter__()", ["session-kept"]),
        ("service.py", IN_BLOCK + "        return session.connection()", ["session-kept"]),
        ("service.py", IN_BLOCK + "        return lambda: crud.read(session)", ["session-kept"]),
        ("service.py", IN_BLOCK + "        _current.set(session)", ["session-kept"]),
        ("service.py", IN_BLOCK + "        yield 1", ["session-kept"]),
        ("service.py", "def f(self):\n    with self._database.read() as self._c:\n        pass", ["session-kept"]),
        ("service.py", "from sqlalchemy.orm import Session\nclass A:\n    session: Session", ["session-kept"]),
        ("service.py", "import sqlalchemy.orm as o\nclass A:\n    def __init__(self, s: o.Session): ...", ["session-kept"]),
        ("router.py", "from fastapi import Depends as D\ndef g():\n    yield 1\ndef f(a=D(g)): ...", ["generator-dependency"]),
        ("service.py", IN_BLOCK + "        gateway.refund(1)", ["outside-call-in-transaction"]),
        ("service.py", "import urllib.request as u\n" + IN_BLOCK + '        u.urlopen("")', ["outside-call-in-transaction"]),
        ("service.py", "import httpx\n" + IN_BLOCK + '        httpx.get("")', ["outside-call-in-transaction"]),
        ("service.py", "from time import sleep as nap\n" + IN_BLOCK + "        nap(1)", ["outside-call-in-transaction"]),
        (
            "service.py",
            "def g(self, mail: MailClient):\n    self._mail.send()\ndef h(self):\n    self.g()\n"
            + IN_BLOCK
            + "        self.h()",
            ["outside-call-in-transaction"],
        ),
        ("models.py", "from sqlalchemy.orm import relationship as r\nclass A:\n    b = r('B')", ["lazy-load"]),
        ("models.py", "from sqlalchemy import orm\nclass A:\n    b = orm.relationship(lazy='select')", ["lazy-load"]),
        ("crud.py", "from sqlalchemy.orm import Session\ndef f(s: Session, a):\n    s.refresh(a)", ["lazy-load"]),
        # What is allowed.
        ("service.py", IN_BLOCK + "        return crud.read(session)", []),
        ("service.py", IN_BLOCK + "        with self._database.attempt():\n            crud.add(session)", []),
        ("service.py", IN_BLOCK + "        pass\n    gateway.refund(1)", []),
        ("service.py", IN_BLOCK + "        name = gateway.name", []),
        ("service.py", IN_BLOCK + "        def rows():\n            yield 1\n        crud.add(session, rows())", []),
        (
            "service.py",
            "import sqlite3\ndef f():\n    b = sqlite3.connect('', isolation_level=None)\n    b.execute('BEGIN')",
            [],
        ),
        ("service.py", "from shop.crud import imports as crud\ndef f(session):\n    crud.begin(session)", []),
        ("service.py", "def f(self, tokens):\n    tokens.refresh('x')", []),
        ("cli.py", "def f(file):\n    return file.read()", []),
        ("service.py", "def f(file):\n    file.close()", []),
        ("service.py", "from urllib import parse\n" + IN_BLOCK + "        parse.quote('a b')", []),
        ("service.py", "from http import HTTPStatus\n" + IN_BLOCK + "        HTTPStatus(404).phrase", []),
        ("router.py", "from fastapi import Depends\nasync def g():\n    return 1\ndef f(a=Depends(g)): ...", []),
        ("models.py", "from sqlalchemy.orm import relationship\nclass A:\n    b = relationship('B', lazy='raise')", []),
        ("schemas.py", 'TEXT = "Commit to it, begin again."', []),
    ],
)
def test_each_rule_sees_what_breaks_it_and_nothing_else(tmp_path: Path, file: str, code: str, rules: list[str]) -> None:
    assert found_in(tmp_path, file, code) == rules
