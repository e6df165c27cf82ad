-- Keyturn's audit log: append-only, hash-chained. See docs/security.md.
--
-- Run it as a superuser, or as the database's owner with CREATEROLE (or after somebody created the two roles below):
--
--   psql "$ADMIN_DATABASE_URL" -v ON_ERROR_STOP=1 -f deploy/postgres/audit.sql
--
-- It can be run again at any time. The owner of what it makes should be a login that neither workers nor operators have.
-- Then give the worker's login the right to append, and an auditor's login the right to read:
--
--   GRANT keyturn_audit_writer TO keyturn_worker;
--   GRANT keyturn_audit_reader TO auditor;

BEGIN;

-- Two runs in one database at the same time go one after the other.
SELECT pg_advisory_xact_lock(hashtext('keyturn_audit'));

DO $$
DECLARE
  role_name text;
BEGIN
  IF current_setting('server_encoding') <> 'UTF8' THEN
    RAISE EXCEPTION 'The audit log needs a database with the encoding UTF8; this one has %.', current_setting('server_encoding');
  END IF;

  -- Roles belong to the whole cluster: another database's run may create them at this moment.
  FOREACH role_name IN ARRAY ARRAY['keyturn_audit_writer', 'keyturn_audit_reader'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
      EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;
      END;
    END IF;
  END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS keyturn_audit;

-- entry is json and not jsonb: the text must stay as it was hashed.
CREATE TABLE IF NOT EXISTS keyturn_audit.record (
  seq bigint PRIMARY KEY,
  at timestamptz NOT NULL,
  previous_hash bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
  hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  entry json NOT NULL CHECK (octet_length(entry::text) <= 131072)
);
CREATE INDEX IF NOT EXISTS record_by_secret ON keyturn_audit.record ((entry ->> 'secretId'), seq);
-- Reviews look at these alone. Where the log is long, making it takes a while, and nothing is appended meanwhile.
CREATE INDEX IF NOT EXISTS record_of_outcome ON keyturn_audit.record (seq, at)
  WHERE entry ->> 'what' = 'recordOutcome';

-- The end of the chain: without it, cutting off the newest records would leave a chain that looks whole.
CREATE TABLE IF NOT EXISTS keyturn_audit.head (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  seq bigint NOT NULL,
  hash bytea NOT NULL
);
INSERT INTO keyturn_audit.head (seq, hash)
SELECT 0, decode(repeat('00', 32), 'hex')
WHERE NOT EXISTS (SELECT FROM keyturn_audit.record)
ON CONFLICT DO NOTHING;

-- Adds entries to the end of the chain, all or none, and returns the new head's seq.
-- hash = sha256(previous hash || seq || LF || at || LF || entry), texts in UTF-8, at in UTC with microseconds.
CREATE OR REPLACE FUNCTION keyturn_audit.append(entries json[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  head_seq bigint;
  head_hash bytea;
  previous bytea;
  written_at timestamptz;
  entry json;
BEGIN
  IF entries IS NULL OR cardinality(entries) > 1000 THEN
    RAISE EXCEPTION 'At most 1000 entries can be appended to the audit log at once.' USING ERRCODE = 'program_limit_exceeded';
  END IF;

  -- A record that a crash of the server can lose is none.
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;

  SELECT h.seq, h.hash INTO head_seq, head_hash FROM keyturn_audit.head h FOR UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'The audit log has lost its head: verify it before anything is appended.' USING ERRCODE = 'data_corrupted';
  END IF;

  FOREACH entry IN ARRAY entries LOOP
    previous := head_hash;
    head_seq := head_seq + 1;
    written_at := clock_timestamp();
    head_hash := sha256(previous || convert_to(
      head_seq || E'\n' || to_char(written_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') || E'\n' || entry::text, 'UTF8'));
    INSERT INTO keyturn_audit.record (seq, at, previous_hash, hash, entry)
    VALUES (head_seq, written_at, previous, head_hash, entry);
  END LOOP;

  UPDATE keyturn_audit.head h SET seq = head_seq, hash = head_hash;
  RETURN head_seq;
END
$$;

-- Where the last review of these secrets of an environment ended. Workers may not read the log; this and what follows is all
-- that they learn of it.
CREATE OR REPLACE FUNCTION keyturn_audit.last_review(environment text, covers text)
RETURNS TABLE (until_seq bigint, until timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT (r.entry -> 'input' ->> 'untilSeq')::bigint, (r.entry -> 'input' ->> 'until')::timestamptz
  FROM keyturn_audit.record r
  WHERE r.entry ->> 'secretId' = last_review.environment || '/*'
    AND r.entry ->> 'what' = 'recordReview' AND r.entry ->> 'outcome' = 'succeeded'
    AND r.entry -> 'input' ->> 'covers' = last_review.covers
  ORDER BY r.seq DESC LIMIT 1
$$;

-- How rotations of these secrets ended, after a record of the log, or since a time where that is NULL or not in the log: how many
-- brought a new version, how many failed, and the secrets with the most failures, at_most so many.
CREATE OR REPLACE FUNCTION keyturn_audit.failures(secret_ids text[], after_seq bigint, since timestamptz, at_most integer)
RETURNS TABLE (until_seq bigint, until timestamptz, rotated bigint, failures bigint, failing bigint, secrets json)
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  WITH bounds AS (
    SELECT h.seq AS until_seq, statement_timestamp() AS until,
      CASE WHEN failures.after_seq <= h.seq THEN failures.after_seq END AS after_seq
    FROM keyturn_audit.head h
  ),
  -- One whose answer was lost is recorded twice.
  ended AS (
    SELECT DISTINCT ON (r.entry -> 'workflow' ->> 'runId')
      r.seq, r.at, r.entry ->> 'secretId' AS secret_id, r.entry -> 'input' AS input
    FROM keyturn_audit.record r
    WHERE r.entry ->> 'what' = 'recordOutcome' AND r.entry ->> 'outcome' = 'succeeded'
      AND r.seq > (SELECT coalesce(b.after_seq, 0) FROM bounds b)
      AND r.seq <= (SELECT b.until_seq FROM bounds b)
      AND ((SELECT b.after_seq FROM bounds b) IS NOT NULL OR r.at >= failures.since)
      AND r.entry ->> 'secretId' = ANY (failures.secret_ids)
    ORDER BY r.entry -> 'workflow' ->> 'runId', r.seq DESC
  ),
  failed AS (
    SELECT e.*, e.input ->> 'outcome' AS outcome FROM ended e
    WHERE e.input ->> 'outcome' IN ('refused', 'rolled-back', 'rollback-incomplete', 'retirement-incomplete')
  ),
  by_secret AS (
    SELECT f.secret_id AS "secretId", count(*) AS failures,
      count(*) FILTER (WHERE f.outcome = 'refused') AS refused,
      count(*) FILTER (WHERE f.outcome = 'rolled-back') AS "rolledBack",
      count(*) FILTER (WHERE f.outcome = 'rollback-incomplete') AS "rollbackIncomplete",
      count(*) FILTER (WHERE f.outcome = 'retirement-incomplete') AS "retirementIncomplete",
      (array_agg(json_build_object(
        'at', to_char(f.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), 'outcome', f.outcome,
        'step', f.input ->> 'failedStep', 'cause', f.input ->> 'cause') ORDER BY f.seq DESC))[1] AS last
    FROM failed f GROUP BY f.secret_id
  )
  SELECT b.until_seq, b.until,
    (SELECT count(*) FROM ended e WHERE e.input ->> 'outcome' = 'rotated'),
    (SELECT count(*) FROM failed),
    (SELECT count(*) FROM by_secret),
    (SELECT coalesce(json_agg(w), '[]') FROM (
      SELECT * FROM by_secret s ORDER BY s.failures DESC, s."secretId" LIMIT failures.at_most) w)
  FROM bounds b
$$;

-- Whether a rotation of this secret, whatever it came to, has found or made a value of it. Restores ask when it is gone.
CREATE OR REPLACE FUNCTION keyturn_audit.has_existed(secret_id text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT EXISTS (
    SELECT FROM keyturn_audit.record r
    WHERE r.entry ->> 'secretId' = has_existed.secret_id AND r.entry ->> 'what' = 'recordOutcome'
      AND coalesce(r.entry #>> '{input,versions,current}', r.entry #>> '{input,versions,previous}') IS NOT NULL
  )
$$;

CREATE OR REPLACE FUNCTION keyturn_audit.refuse_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION 'The audit log is append-only: % on %.% is refused.', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege', HINT = 'Nothing was changed. Corrections are new records.';
END
$$;

CREATE OR REPLACE TRIGGER append_only
BEFORE UPDATE OR DELETE OR TRUNCATE ON keyturn_audit.record
FOR EACH STATEMENT EXECUTE FUNCTION keyturn_audit.refuse_change();
-- Also where session_replication_role would silence ordinary triggers.
ALTER TABLE keyturn_audit.record ENABLE ALWAYS TRIGGER append_only;

CREATE OR REPLACE TRIGGER keep_head
BEFORE DELETE OR TRUNCATE ON keyturn_audit.head
FOR EACH STATEMENT EXECUTE FUNCTION keyturn_audit.refuse_change();
ALTER TABLE keyturn_audit.head ENABLE ALWAYS TRIGGER keep_head;

REVOKE ALL ON SCHEMA keyturn_audit FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA keyturn_audit FROM PUBLIC, keyturn_audit_writer, keyturn_audit_reader;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA keyturn_audit FROM PUBLIC, keyturn_audit_writer, keyturn_audit_reader;

GRANT USAGE ON SCHEMA keyturn_audit TO keyturn_audit_writer, keyturn_audit_reader;
GRANT EXECUTE ON FUNCTION keyturn_audit.append(json[]) TO keyturn_audit_writer;
GRANT EXECUTE ON FUNCTION keyturn_audit.last_review(text, text),
  keyturn_audit.failures(text[], bigint, timestamptz, integer),
  keyturn_audit.has_existed(text) TO keyturn_audit_writer, keyturn_audit_reader;
GRANT SELECT ON keyturn_audit.record, keyturn_audit.head TO keyturn_audit_reader;

COMMIT;
