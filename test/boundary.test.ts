import { CompleteAsyncError, Context } from '@temporalio/activity';
import type { Info } from '@temporalio/activity';
import {
  ApplicationFailure,
  CancelledFailure,
  defaultFailureConverter,
  defaultPayloadConverter,
} from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { DatabaseError } from 'pg';
import { createAuditActivities } from '../src/activities/audit/activities';
import type { AuditEntry, AuditLog } from '../src/activities/audit/audit-log';
import { AuditLogError } from '../src/activities/audit/audit-log';
import {
  outsideCall,
  outsideCalls,
  protect,
  redact,
  runInActivityScope,
} from '../src/activities/boundary/activity-scope';
import { createActivityBoundary } from '../src/activities/boundary/interceptor';
import { failure } from '../src/activities/failures';
import { Cause } from '../src/rotation/errors';

const VALUE = 'Cänary "pässword" / + 42%';
const INPUT = {
  secretId: 'prod/database/app',
  step: 'set-password',
  requestedBy: 'ada',
  reason: 'quarterly',
  versionId: 'v-1',
};

/** An audit log in memory; the real one has tests of its own in audit.test.ts. */
function memoryAudit(): AuditLog & { entries: AuditEntry[]; down: boolean } {
  const entries: AuditEntry[] = [];
  return {
    entries,
    down: false,
    async append(entry) {
      if (this.down) throw new AuditLogError('the audit database db:5432/audit answered: connection refused');
      entries.push(structuredClone(entry));
    },
    list: () => Promise.reject(new Error('not used here')),
    verify: () => Promise.reject(new Error('not used here')),
    close: () => Promise.resolve(),
  };
}

function environment(audit: AuditLog, info: Partial<Info> = {}): MockActivityEnvironment {
  return new MockActivityEnvironment(
    { activityType: 'setPassword', ...info },
    { interceptors: [createActivityBoundary({ audit })], logger: new DefaultLogger('ERROR') },
  );
}

async function thrownBy(run: () => Promise<unknown>): Promise<Error> {
  const error: unknown = await run().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(Error);
  return error as Error;
}

/** What of an error reaches Temporal's history, with payloads decoded, and what a logger could print of it. */
function everythingIn(error: Error): string {
  const proto = defaultFailureConverter.errorToFailure(error, defaultPayloadConverter);
  const details = proto.applicationFailureInfo?.details?.payloads ?? proto.canceledFailureInfo?.details?.payloads ?? [];
  const decoded = details.map((payload) => Buffer.from(payload.data ?? []).toString());
  const fields = Object.getOwnPropertyNames(error).map((name) => String(Reflect.get(error, name)));
  return [JSON.stringify(proto), ...decoded, ...fields, String(error.cause)].join('\n');
}

function expectNoValue(text: string): void {
  const bytes = Buffer.from(VALUE);
  const forms = [
    VALUE,
    VALUE.slice(0, 8),
    VALUE.slice(-8),
    JSON.stringify(VALUE).slice(1, -1),
    bytes.toString('hex'),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    encodeURIComponent(VALUE),
  ];
  for (const form of forms) expect(text).not.toContain(form);
}

describe('redact', () => {
  const encodings: [string, (value: string) => string][] = [
    ['clear', (value) => value],
    ['base64', (value) => Buffer.from(value).toString('base64')],
    ['base64 after a user name', (value) => Buffer.from(`user:${value}`).toString('base64').slice(6)],
    ['base64url', (value) => Buffer.from(value).toString('base64url')],
    ['hex', (value) => Buffer.from(value).toString('hex')],
    ['upper-case hex', (value) => Buffer.from(value).toString('hex').toUpperCase()],
    ['URL-encoded', encodeURIComponent],
    ['form-encoded', (value) => new URLSearchParams({ p: value }).toString().slice(2)],
    ['JSON-escaped', (value) => JSON.stringify(value).slice(1, -1)],
    ['JSON in JSON', (value) => JSON.stringify(JSON.stringify(value)).slice(3, -3)],
  ];

  test.each(encodings)('removes a protected value in %s form', async (_form, encode) => {
    for (const value of [VALUE, 'simple-token', 'abcdef', '密码密码密码', `line one\nline "two"`]) {
      const text = await runInActivityScope(async () => {
        protect(value);
        return redact(`before <${encode(value)}> after <${encode(value)}>`);
      });
      expect(text).toBe('before <[redacted]> after <[redacted]>');
    }
  });

  test('removes all of values that overlap', async () => {
    await runInActivityScope(async () => {
      protect('first-second');
      protect('second-third');
      protect('second');
      expect(redact('a first-second-third b second c')).toBe('a [redacted] b [redacted] c');
    });
  });

  test('leaves values under 6 characters and everything outside a scope alone', async () => {
    expect(protect(VALUE)).toBe(VALUE);
    expect(redact(VALUE)).toBe(VALUE);
    await runInActivityScope(async () => {
      protect('short');
      expect(redact('a short text')).toBe('a short text');
      expect(redact(VALUE)).toBe(VALUE);
    });
  });

  test('knows only the values of its own activity', async () => {
    const [first, second] = await Promise.all(
      ['value-one', 'value-two'].map((value) =>
        runInActivityScope(async () => {
          protect(value);
          await new Promise((resolve) => setTimeout(resolve, 5));
          return redact('value-one value-two');
        }),
      ),
    );
    expect([first, second]).toEqual(['[redacted] value-two', 'value-one [redacted]']);
  });
});

describe('outsideCall', () => {
  test('notes each call with its outcome and passes result and error through', async () => {
    const awsError = Object.assign(new Error('slow down'), { name: 'ThrottlingException' });
    await runInActivityScope(async () => {
      await expect(outsideCall('postgres', 'ALTER ROLE', async () => 7)).resolves.toBe(7);
      const refused = Promise.reject(Object.assign(new Error('no'), { code: '28P01' }));
      await expect(outsideCall('postgres', 'login', () => refused)).rejects.toThrow('no');
      await expect(outsideCall('secrets-manager', 'PutSecretValue', () => Promise.reject(awsError))).rejects.toBe(
        awsError,
      );
      await outsideCall('postgres', 'login', async () => 'refused', String);
      expect(outsideCalls()).toMatchObject([
        { system: 'postgres', operation: 'ALTER ROLE', outcome: 'ok' },
        { system: 'postgres', operation: 'login', outcome: '28P01' },
        { system: 'secrets-manager', operation: 'PutSecretValue', outcome: 'ThrottlingException' },
        { system: 'postgres', operation: 'login', outcome: 'refused' },
      ]);
    });
    await expect(outsideCall('postgres', 'login', async () => 'outside a scope')).resolves.toBe('outside a scope');
    expect(outsideCalls()).toEqual([]);
  });

  test('sums up the calls of a long poll', async () => {
    await runInActivityScope(async () => {
      for (let n = 0; n < 1_000; n++) await outsideCall('http', 'GET health', async () => n);
      const calls = outsideCalls();
      expect(calls).toHaveLength(51);
      expect(calls.at(-1)).toMatchObject({ operation: 'GET health', times: 950 });
    });
  });
});

describe('the audit record of an activity', () => {
  test('says before and after it who did what, to which secret, by which calls, and how it ended', async () => {
    const audit = memoryAudit();
    const result = await environment(audit).run(async (_input: typeof INPUT) => {
      expect(audit.entries.map((entry) => entry.outcome)).toEqual(['started']);
      await outsideCall('postgres', 'ALTER ROLE', async () => undefined);
      return { versionId: 'v-2' };
    }, INPUT);
    expect(result).toEqual({ versionId: 'v-2' });
    const always = {
      who: 'ada',
      what: 'setPassword',
      step: 'set-password',
      secretId: 'prod/database/app',
      versionId: 'v-1',
      reason: 'quarterly',
      workflow: { id: 'test', runId: '00000000-0000-0000-0000-000000000000', type: 'test' },
      activity: { type: 'setPassword', id: 'test', attempt: 1, local: false, taskQueue: 'test' },
      input: INPUT,
    };
    expect(audit.entries).toEqual([
      { ...always, outcome: 'started' },
      {
        ...always,
        outcome: 'succeeded',
        durationMs: expect.any(Number) as number,
        outsideCalls: [expect.objectContaining({ system: 'postgres', outcome: 'ok' })],
        result: { versionId: 'v-2' },
      },
    ]);
  });

  test('says why it failed, without the value', async () => {
    const audit = memoryAudit();
    await thrownBy(() =>
      environment(audit).run(async (_input: typeof INPUT) => {
        throw failure(Cause.CandidateRefused, `login with ${protect(VALUE)} refused`);
      }, INPUT),
    );
    expect(audit.entries[1]).toMatchObject({
      outcome: 'failed',
      failure: { type: 'CandidateRefused', message: 'login with [redacted] refused' },
    });
  });

  test("of operators' acts is one record each, with the act and its answer", async () => {
    const audit = memoryAudit();
    const { recordOperatorActs } = createAuditActivities();
    const recorder = environment(audit, { activityType: 'recordOperatorActs', isLocal: true });
    const at = '2030-01-01T00:00:00.000Z';
    await recorder.run(recordOperatorActs, {
      ...INPUT,
      acts: [
        { request: 'extendGracePeriod' as const, at, requestedBy: 'grace', reason: 'a holiday' },
        { request: 'abort' as const, at, refused: 'too late' },
      ],
    });
    expect(audit.entries).toMatchObject([
      {
        who: 'grace',
        what: 'extendGracePeriod',
        reason: 'a holiday',
        outcome: 'accepted',
        activity: { type: 'recordOperatorActs' },
      },
      { who: 'unknown', what: 'abort', outcome: 'refused', input: { refused: 'too late' } },
    ]);
  });
});

describe('when the audit log is down', () => {
  test('an activity fails with AuditUnavailable before it touches anything', async () => {
    const audit = memoryAudit();
    audit.down = true;
    let touched = false;
    const error = await thrownBy(() =>
      environment(audit).run(async (_input: typeof INPUT) => {
        touched = true;
      }, INPUT),
    );
    expect(touched).toBe(false);
    expect(error).toMatchObject({ type: Cause.AuditUnavailable, nonRetryable: true });
    expect(error.message).toContain('setPassword of prod/database/app waits');
    expect(error.message).toContain('KEYTURN_AUDIT_DATABASE_URL');
  });

  test.each([
    ['succeeded', async () => 'done'],
    ['failed', () => Promise.reject(failure(Cause.CandidateRefused, 'refused'))],
  ])('an activity whose end cannot be recorded fails with AuditUnavailable although it %s', async (outcome, end) => {
    const audit = memoryAudit();
    const error = await thrownBy(() =>
      environment(audit).run(async (_input: typeof INPUT) => {
        audit.down = true;
        return end();
      }, INPUT),
    );
    expect(error).toMatchObject({ type: Cause.AuditUnavailable, nonRetryable: true });
    expect(error.message).toContain(`has ${outcome}, but there is no record`);
    expect(audit.entries).toHaveLength(1);
  });

  test('an operator act waits too', async () => {
    const audit = memoryAudit();
    audit.down = true;
    const { recordOperatorActs } = createAuditActivities();
    const recorder = environment(audit, { activityType: 'recordOperatorActs' });
    const acts = [{ request: 'abort' as const, at: '2030-01-01T00:00:00.000Z' }];
    const error = await thrownBy(() => recorder.run(recordOperatorActs, { ...INPUT, acts }));
    expect(error).toMatchObject({ type: Cause.AuditUnavailable });
  });
});

describe('an error that leaves an activity', () => {
  function databaseError(): Error {
    const error = new DatabaseError(`syntax error at or near "${VALUE}"`, 10, 'error');
    return Object.assign(error, { code: '42601', detail: VALUE, where: VALUE, internalQuery: `ALTER ROLE '${VALUE}'` });
  }

  function awsError(): Error {
    return Object.assign(new Error(`1 validation error: Value '${VALUE}' failed`), {
      name: 'ValidationException',
      $fault: 'client',
      $metadata: { httpStatusCode: 400 },
      $response: { body: Buffer.from(VALUE).toString('base64') },
      cause: new Error(VALUE, { cause: new TypeError(VALUE) }),
    });
  }

  const foreign: [string, () => unknown, string][] = [
    ['PostgreSQL', databaseError, 'DatabaseError, code 42601'],
    ['AWS', awsError, 'ValidationException'],
    ['a TypeError', () => new TypeError(`cannot read ${Buffer.from(VALUE).toString('base64')}`), 'TypeError'],
    ['JSON.parse', () => parseError(`${VALUE} and more text behind it`), 'SyntaxError'],
    ['a shortened message', () => new Error(`got "${VALUE.slice(0, 12)}..."`), 'Error'],
    ['an aggregate', () => new AggregateError([new Error(VALUE)], ''), 'AggregateError'],
    ['a name and a code made of it', () => Object.assign(new Error('x'), { name: VALUE, code: VALUE }), 'Error'],
    ['a thrown string', () => VALUE, 'string'],
    ['a thrown object', () => ({ message: VALUE, stack: VALUE, cause: new Error(VALUE) }), 'object'],
    [
      'an SDK failure',
      () => ApplicationFailure.create({ message: VALUE, type: VALUE, details: [VALUE] }),
      'ApplicationFailure',
    ],
  ];

  function parseError(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch (error) {
      return error;
    }
  }

  test.each(foreign)(
    'of %s becomes Unexpected and holds no value in message, stack, cause or details',
    async (_of, make, kind) => {
      const audit = memoryAudit();
      const error = await thrownBy(() =>
        environment(audit).run(async (_input: typeof INPUT) => {
          protect(VALUE);
          throw make();
        }, INPUT),
      );
      expect(error).toMatchObject({
        type: Cause.Unexpected,
        nonRetryable: false,
        details: undefined,
        cause: undefined,
      });
      expect(error.message).toContain('setPassword of prod/database/app');
      expect(error.message).toContain(`(${kind})`);
      expectNoValue(everythingIn(error));
      expectNoValue(JSON.stringify(audit.entries));
    },
  );

  test('says where a foreign error came from', async () => {
    const error = await thrownBy(() =>
      environment(memoryAudit()).run(async (_input: typeof INPUT) => {
        throw databaseError();
      }, INPUT),
    );
    expect(error.stack).toMatch(/\n\s+at databaseError .*boundary\.test\.ts/);
  });

  test('keeps cause, retry behaviour and message of a failure that was made for operators, without its value', async () => {
    const made = failure(Cause.Throttled, `throttled while storing ${VALUE}; it is tried again`, 5_000);
    Object.assign(made, { details: [VALUE], cause: new Error(VALUE) });
    const error = await thrownBy(() =>
      environment(memoryAudit()).run(async (_input: typeof INPUT) => {
        protect(VALUE);
        throw made;
      }, INPUT),
    );
    expect(error).toMatchObject({
      type: Cause.Throttled,
      nonRetryable: false,
      nextRetryDelay: 5_000,
      message: 'throttled while storing [redacted]; it is tried again',
    });
    expectNoValue(everythingIn(error));
  });

  test('has a bounded length', async () => {
    const error = await thrownBy(() =>
      environment(memoryAudit()).run(async (_input: typeof INPUT) => {
        throw new Error('long '.repeat(100_000));
      }, INPUT),
    );
    expect(error.message.length).toBeLessThan(2_000);
    expect(error.stack?.length).toBeLessThan(6_000);
  });

  test('is still a cancellation when the activity was cancelled', async () => {
    const abort = Object.assign(new Error(`aborted ${VALUE}`), { name: 'AbortError' });
    for (const thrown of [new CancelledFailure(`cancelled ${VALUE}`, [VALUE], new Error(VALUE)), abort]) {
      const mock = environment(memoryAudit());
      const error = await thrownBy(() =>
        mock.run(async (_input: typeof INPUT) => {
          protect(VALUE);
          mock.cancel('CANCELLED');
          throw thrown;
        }, INPUT),
      );
      expect(error).toBeInstanceOf(CancelledFailure);
      expectNoValue(everythingIn(error));
    }
  });

  test('passes as it is when the activity is completed by another process', async () => {
    const completesLater = await thrownBy(() =>
      environment(memoryAudit()).run(() => Promise.reject(new CompleteAsyncError())),
    );
    expect(completesLater).toBeInstanceOf(CompleteAsyncError);
  });

  test('stands in for a result that holds a value', async () => {
    const audit = memoryAudit();
    const error = await thrownBy(() =>
      environment(audit).run(async (_input: typeof INPUT) => ({ connection: { password: protect(VALUE) } }), INPUT),
    );
    expect(error).toMatchObject({ type: Cause.Unexpected });
    expect(error.message).toContain('would have returned a secret value');
    expectNoValue(everythingIn(error) + JSON.stringify(audit.entries));
  });
});

describe('heartbeats', () => {
  async function heartbeatsIn(info: Partial<Info>): Promise<unknown[]> {
    const mock = environment(memoryAudit(), info);
    const heartbeats: unknown[] = [];
    mock.on('heartbeat', (details: unknown) => heartbeats.push(details));
    await mock.run(async (_input: typeof INPUT) => {
      await Context.current().sleep(200);
    }, INPUT);
    const during = heartbeats.length;
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(heartbeats).toHaveLength(during);
    return heartbeats;
  }

  test('come several times within the timeout, without details, and end with the activity', async () => {
    const heartbeats = await heartbeatsIn({ heartbeatTimeoutMs: 100 });
    expect(heartbeats.length).toBeGreaterThanOrEqual(5);
    expect(new Set(heartbeats)).toEqual(new Set([undefined]));
  });

  test('are not sent by local activities, nor where there is no timeout', async () => {
    await expect(heartbeatsIn({ heartbeatTimeoutMs: 100, isLocal: true })).resolves.toEqual([]);
    await expect(heartbeatsIn({})).resolves.toEqual([]);
  });
});
