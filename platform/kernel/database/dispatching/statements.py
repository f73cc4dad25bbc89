"""The dispatcher's SQL; all of it runs as the kernel's role."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

FAN_OUT_LOCK: Final = text("SELECT pg_try_advisory_xact_lock(:key)")

# No SKIP LOCKED here: an event that is passed over would be overtaken by a later one of its aggregate.
FAN_OUT: Final = text(
    """
    WITH fanned AS (
      UPDATE kernel.outbox SET fanned_out_at = :now
       WHERE id IN (SELECT id FROM kernel.outbox WHERE fanned_out_at IS NULL ORDER BY id LIMIT :batch)
      RETURNING id, name, aggregate
    ), written AS (
      INSERT INTO kernel.deliveries (outbox_id, listener, aggregate, next_attempt_at)
      SELECT fanned.id, known.listener, fanned.aggregate, :now
        FROM fanned
        JOIN unnest(CAST(:events AS text[]), CAST(:listeners AS text[])) AS known(event, listener) ON known.event = fanned.name
      ON CONFLICT DO NOTHING
    )
    SELECT count(*) FROM fanned
    """
)

# Held back is whatever is not the oldest unfinished delivery of its aggregate to this listener. An old snapshot can only err
# on the careful side: nothing but a person (`resubmit`) makes a finished delivery unfinished again. A scalar subquery, because
# it is one look into ix_deliveries_holding per candidate whatever the planner thinks of the table's size. Any delivery that is
# not held back will do: sorting them would look at all of a backlog each time, and the index gives the oldest first anyway.
# LATERAL and OFFSET 0, because the event is to be looked up last: joined, it would come first (all events, one by one) after
# statistics that autovacuum took in the middle of a burst, of many pages and no row.
CLAIM: Final = text(
    """
    SELECT delivery.outbox_id, delivery.aggregate, delivery.status, delivery.attempts,
           event.event_id, event.name, event.payload
      FROM kernel.deliveries AS delivery
     CROSS JOIN LATERAL (
             SELECT event_id, name, payload FROM kernel.outbox WHERE id = delivery.outbox_id OFFSET 0) AS event
     WHERE delivery.listener = :listener
       AND delivery.status IN ('pending', 'leased')
       AND delivery.next_attempt_at <= :now
       AND delivery.outbox_id = (
             SELECT earlier.outbox_id FROM kernel.deliveries AS earlier
              WHERE earlier.listener = delivery.listener AND earlier.aggregate = delivery.aggregate
                AND earlier.status IN ('pending', 'leased')
              ORDER BY earlier.outbox_id LIMIT 1)
     LIMIT 1
       FOR NO KEY UPDATE OF delivery SKIP LOCKED
    """
)

LEASE: Final = text(
    """
    UPDATE kernel.deliveries SET status = 'leased', attempts = attempts + 1, next_attempt_at = :until
     WHERE outbox_id = :outbox_id AND listener = :listener
    """
)

# Status and attempts are those of the claim: who was overtaken after its lease had ended changes nothing.
SETTLE: Final = text(
    """
    UPDATE kernel.deliveries
       SET status = :status, attempts = :attempts, next_attempt_at = :next_attempt_at, last_error = :last_error,
           delivered_at = :delivered_at
     WHERE outbox_id = :outbox_id AND listener = :listener AND status = :claimed_status AND attempts = :claimed_attempts
    """
)

# Takes no lock and writes nothing while the job is not due.
CLAIM_JOB: Final = text(
    """
    INSERT INTO kernel.jobs AS job (name, due_at, started_at)
    SELECT :name, :until, :now
     WHERE NOT EXISTS (SELECT FROM kernel.jobs WHERE name = :name AND due_at > :now)
    ON CONFLICT (name) DO UPDATE SET due_at = excluded.due_at, started_at = excluded.started_at WHERE job.due_at <= :now
    RETURNING job.name
    """
)
END_JOB: Final = text("UPDATE kernel.jobs SET due_at = :due_at WHERE name = :name AND started_at = :started_at")

# Walks through the oldest events by their ids, which rise with the time: no index of times for every event to be written to.
# ARRAY and OFFSET 0 keep the planner to the two indexes: PostgreSQL 16, ignorant of what a CTE holds, reads whole tables.
DELETE_OLD_EVENTS: Final = text(
    """
    WITH oldest AS (
      SELECT id, occurred_at, fanned_out_at FROM kernel.outbox WHERE id > :after ORDER BY id LIMIT :portion
    ), deleted AS (
      DELETE FROM kernel.outbox WHERE id = ANY(ARRAY(
        SELECT id FROM oldest
         WHERE occurred_at < :before AND fanned_out_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM kernel.deliveries AS delivery
                            WHERE delivery.outbox_id = oldest.id AND delivery.status <> ALL(:done) OFFSET 0)))
      RETURNING id
    )
    SELECT (SELECT count(*) FROM deleted) AS deleted, max(id) AS last,
           coalesce(bool_or(occurred_at < :before), false) AS any_old
      FROM oldest
    """
)
