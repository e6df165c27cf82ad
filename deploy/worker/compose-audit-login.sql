-- The audit login of docker-compose.yml. A real installation gives worker and auditor a login each, see deploy/postgres/audit.sql.
CREATE ROLE keyturn_audit LOGIN PASSWORD 'local-audit' IN ROLE keyturn_audit_writer, keyturn_audit_reader;
