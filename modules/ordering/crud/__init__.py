"""Every SQL statement of ordering: functions (session or connection, …) -> row; no commit, no HTTP."""
