"""Every SQL statement of the catalog: functions (session or connection, …) -> row; no commit, no HTTP."""
