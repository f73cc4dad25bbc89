"""Every SQL statement of users: functions (session or connection, …) -> row; no commit, no HTTP."""
