import { createHash } from 'node:crypto';
import type { AuditVerification, ChainHead, ChainProblem } from './audit-log';
import { AuditLogError } from './audit-log';

/** A record as it is stored, its entry as the exact text. */
export interface StoredRecord {
  seq: number;
  /** ISO 8601 in UTC with microseconds. */
  at: string;
  /** Hex. */
  previousHash: string;
  hash: string;
  entry: string;
}

/** What the first record has as the hash of the one before it. */
const GENESIS_HASH = '0'.repeat(64);

const MOST_PROBLEMS = 100;

/** The hash of a record, as `keyturn_audit.append` in deploy/postgres/audit.sql computes it. */
function recordHash({ previousHash, seq, at, entry }: Omit<StoredRecord, 'hash'>): string {
  return createHash('sha256').update(Buffer.from(previousHash, 'hex')).update(`${seq}\n${at}\n${entry}`).digest('hex');
}

/** Reads `seq:hash`. Throws {@link AuditLogError}. */
export function parseChainHead(text: string): ChainHead {
  const match = /^(\d{1,15}):([0-9a-f]{64})$/i.exec(text.trim());
  if (!match?.[1] || !match[2]) {
    throw new AuditLogError(`'${text}' is not a head of the audit log; it is written as seq:hash, with 64 hex digits.`);
  }
  return { seq: Number(match[1]), hash: match[2].toLowerCase() };
}

/**
 * Recomputes a chain. One change shows once: each record is checked against the stored hash of the one before it.
 *
 * @param records in ascending order of seq.
 * @param head what the log says its end is.
 * @param expected an earlier head that must be part of the chain.
 */
export async function verifyChain(
  records: AsyncIterable<StoredRecord>,
  head: ChainHead | undefined,
  expected?: ChainHead,
): Promise<AuditVerification> {
  const problems: ChainProblem[] = [];
  const report = (seq: number, what: string): void => {
    if (problems.length < MOST_PROBLEMS) problems.push({ seq, what });
  };
  let last: ChainHead = { seq: 0, hash: GENESIS_HASH };
  let count = 0;
  let expectedFound = expected?.seq === 0 && expected.hash === GENESIS_HASH;

  for await (const record of records) {
    count++;
    const changed = recordHash(record) !== record.hash;
    if (record.seq <= last.seq) report(record.seq, 'stands where no record can be: the chain counts up from 1');
    else if (record.seq > last.seq + 1) report(last.seq + 1, missing(last.seq + 1, record.seq - 1));
    else if (record.previousHash !== last.hash) {
      report(record.seq, `does not follow record ${last.seq}: one of the two was replaced, moved or written anew`);
    }
    if (changed) report(record.seq, 'was changed: its content does not give its hash');
    if (expected?.seq === record.seq) expectedFound = expected.hash === record.hash && !changed;
    last = { seq: record.seq, hash: record.hash };
  }

  if (!head) report(last.seq, 'the log no longer says where its end is: its head was removed');
  else if (head.seq > last.seq) report(last.seq + 1, `${missing(last.seq + 1, head.seq)}: the end was cut off`);
  else if (head.seq < last.seq) report(head.seq + 1, 'was added past the end of the log, or the head was set back');
  else if (head.hash !== last.hash) report(head.seq, 'is not the record with which the log ended');
  if (expected && !expectedFound) {
    report(expected.seq, 'is missing, or not the record that the expected head names: the chain was written anew');
  }
  return { ok: problems.length === 0, records: count, ...(head && { head }), problems };
}

function missing(from: number, to: number): string {
  return from === to ? 'is missing' : `is missing, and so is everything up to ${to}`;
}
