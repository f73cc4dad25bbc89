"""Working: `emporium worker`, a process that serves nobody: it delivers events and runs the periodic jobs."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from app import logs
from app.container import build
from app.failures import announce
from app.modules import installed, variables
from app.opening import database_of, open_engines, require_migrated, warn_of_unheard_events
from app.signals import handling
from kernel.database.call import run_call
from kernel.database.dispatching.runner import Runner
from kernel.database.dispatching.wake_ups import WakeUps
from kernel.settings import load_settings


def work() -> int:
    """Deliver until a signal comes; then the running delivery is finished. Answers the exit code."""
    settings = load_settings(known=variables())
    logs.set_up(debug=settings.debug)
    with ExitStack() as stack:
        opened = stack.enter_context(database_of(settings))
        modules = installed()
        engines = open_engines(opened, [module.name for module in modules])
        stack.callback(engines.close)
        require_migrated(engines)
        warn_of_unheard_events(engines)
        parts = build(opened, engines, modules=modules)
        for built in parts.modules:
            if built.module.on_start is not None:
                run_call(partial(built.module.on_start, built.service))
            if built.module.on_stop is not None:
                stack.callback(run_call, partial(built.module.on_stop, built.service))
        runner = Runner(parts.dispatcher, engines, WakeUps(opened.direct_url))
        # A second signal changes nothing: a supervisor that has lost its patience sends SIGKILL, which is safe.
        stack.enter_context(handling(lambda *_: runner.ask_to_stop()))
        announce(f"Delivering to {len(parts.dispatcher.listeners)} listeners and running {len(parts.dispatcher.jobs)} jobs.")
        runner.run()
    return 0
