import { stripVTControlCharacters } from 'node:util';
import { RotationFailed } from '../src/client/errors';
import { createProgress } from '../src/client/progress';
import { reportText } from '../src/client/report-text';
import { reportAt } from '../src/client/rotation-report';
import type { RotationReport } from '../src/client/rotation-report';
import type { RotationStatus } from '../src/rotation/types';

const SECRET = 'dev/api/payments';
const DAY_MS = 86_400_000;

/** A rotation on the second of its seven days. */
function statusInGracePeriod(about: Partial<RotationStatus> = {}): RotationStatus {
  const now = Date.now();
  const [startedAt, graceEndsAt, graceEndsLatest] = [-1, 6, 29].map((days) =>
    new Date(now + days * DAY_MS + 30_000).toISOString(),
  );
  return {
    environment: 'dev',
    secret: 'api/payments',
    type: 'api-key',
    phase: 'grace-period',
    step: 'gracePeriod',
    steps: [
      { name: 'createKey', summary: 'create a key', state: 'done', startedAt, endedAt: startedAt },
      { name: 'gracePeriod', summary: 'let both keys work for 7 d', state: 'running', startedAt },
      { name: 'promote', summary: 'make the new key the primary one', state: 'pending' },
    ],
    versions: { current: 'v1', candidate: 'v2' },
    startedAt: startedAt ?? '',
    graceEndsAt,
    graceEndsLatest,
    phaseInPercent: 10,
    keys: { old: 'AKIAOLD', new: 'AKIANEW' },
    pastPointOfNoReturn: false,
    requests: [
      {
        request: 'setPhaseIn',
        at: '2030-01-02T08:00:00.000Z',
        requestedBy: 'anna',
        reason: 'shop has moved',
      },
      { request: 'extendGracePeriod', at: '2030-01-02T09:00:00.000Z', refused: 'that would not be longer' },
    ],
    ...about,
  };
}

const reportOf = (status: RotationStatus, about: Partial<RotationReport> = {}): RotationReport => ({
  secretId: SECRET,
  workflowId: `rotation/${SECRET}`,
  runId: 'run',
  workflowType: 'rotateApiKey',
  execution: 'running',
  startedAt: status.startedAt,
  status,
  ...about,
});

describe('keyturn status of an API key in its grace period', () => {
  test('tells time left, how far the end can be moved, phase-in, both keys, who changed what, and what can be typed', () => {
    const status = statusInGracePeriod({ earlierRequests: 4_900 });
    const lines = reportText(reportOf(status), false).split('\n');
    expect(lines.slice(1, 7)).toEqual([
      'Phase: grace-period',
      `Grace period until ${status.graceEndsAt} (6 d left)`,
      `Can be moved to ${status.graceEndsLatest} at the latest`,
      'Phase-in: the new key gets 10 % of use',
      'Keys: old AKIAOLD, new AKIANEW',
      'Versions: current v1, candidate v2',
    ]);
    expect(lines.slice(10)).toEqual([
      '4900 earlier requests, in the audit log',
      '2030-01-02T08:00:00.000Z setPhaseIn by anna (shop has moved)',
      '2030-01-02T09:00:00.000Z extendGracePeriod refused: that would not be longer',
      `Give it longer:                  keyturn extend ${SECRET} --by '3 days'`,
      `End it: promote the new key now: keyturn end-grace ${SECRET}`,
      `Give the new key half:           keyturn phase-in ${SECRET} 50`,
      `Undo the rotation:               keyturn abort ${SECRET} --reason '...'`,
    ]);
  });

  test('tells programs the same', () => {
    const status = statusInGracePeriod();
    const now = Date.parse(status.graceEndsAt ?? '') - 5_000;
    expect(reportAt(reportOf(status), now)).toMatchObject({
      graceLeftMs: 5_000,
      status: { phaseInPercent: 10, keys: { old: 'AKIAOLD', new: 'AKIANEW' } },
      canType: [
        { command: `keyturn extend ${SECRET} --by '3 days'` },
        { command: `keyturn end-grace ${SECRET}` },
        { command: `keyturn phase-in ${SECRET} 50` },
        { command: `keyturn abort ${SECRET} --reason '...'` },
      ],
    });
  });

  test('no longer offers a phase-in when the new key is promoted and the old one is still used', () => {
    const status = statusInGracePeriod();
    for (const step of status.steps) step.state = 'done';
    const text = reportText(reportOf(status), false);
    expect(text).not.toMatch(/phase-in/i);
    expect(text).toContain(`End it: retire the old key now: keyturn end-grace ${SECRET}`);
  });

  test('offers nothing once it is over, or was terminated in it', () => {
    const ended = reportOf(statusInGracePeriod({ phase: 'finished' }), { execution: 'completed' });
    const terminated = reportOf(statusInGracePeriod(), { execution: 'terminated' });
    for (const report of [ended, terminated]) {
      expect(reportText(report, false)).not.toMatch(/keyturn (extend|end-grace|phase-in|abort)|Grace period until/);
      expect(reportAt(report, Date.now())).toEqual(report);
    }
  });
});

describe('who waits for a rotation in its grace period', () => {
  function written(columns: number | undefined, many: boolean, ...statuses: RotationStatus[]): string {
    const written: string[] = [];
    const stream = {
      isTTY: columns !== undefined,
      columns,
      rows: 40,
      write: (text: string) => written.push(text) > 0,
    } as unknown as NodeJS.WriteStream;
    const progress = createProgress({ env: {}, stdout: stream, stderr: stream, json: false }, many);
    try {
      for (const status of statuses) progress.update(SECRET, status);
      return written.map((text) => stripVTControlCharacters(text)).join('');
    } finally {
      progress.close();
    }
  }

  test('is told once how it stands, what can be typed, and that it goes on alone; and again only what changed', () => {
    const status = statusInGracePeriod();
    const lines = written(undefined, false, status, status, { ...status, phaseInPercent: 50 }).split('\n');
    const grace = `${SECRET}: grace period until ${status.graceEndsAt} (6 d left); can be moved to ${status.graceEndsLatest} at the latest; phase-in: the new key gets`;
    expect(lines.filter((line) => line.includes('grace period until'))).toEqual([
      `${grace} 10 % of use`,
      `${grace} 50 % of use`,
    ]);
    expect(lines.filter((line) => line.includes('Ctrl-C'))).toEqual([
      `${SECRET}: Ctrl-C stops waiting; the rotation goes on.`,
    ]);
    expect(lines.filter((line) => line.includes(`keyturn phase-in ${SECRET} 50`))).toHaveLength(1);
  });

  test('sees all of it on a narrow terminal', () => {
    const lines = written(60, false, statusInGracePeriod()).split('\n');
    for (const line of lines) expect(line.length).toBeLessThan(60);
    expect(lines.join(' ')).toContain('Ctrl-C stops waiting; the rotation goes on.');
    expect(lines.join(' ')).toContain(`keyturn abort ${SECRET} --reason '...'`);
  });

  test('of many rotations sees which are in theirs, and until when', () => {
    const status = statusInGracePeriod();
    expect(written(120, true, status)).toContain(`▸ ${SECRET}  grace period until ${status.graceEndsAt} (6 d left)\n`);
    const lines = written(undefined, true, status);
    expect(lines).toContain('Ctrl-C stops waiting; the rotations that have started go on.');
    expect(lines).not.toContain('keyturn extend');
  });
});

test.each([
  ['TooManyKeys', 'createKey', 'the IAM user payments has 2 access keys: AKIAOLD (active), AKIATWO (inactive)'],
  ['KeyNotOurs', 'settleLeftovers', 'AKIATWO appeared while a rotation set out to create a key'],
  ['KeyStillUsed', 'waitForQuiet', 'the old key AKIAOLD was used at 2030-01-30T08:00:00Z'],
])('a rotation that failed with %s says why, what was undone, and what to do', (type, step, message) => {
  const failed = new RotationFailed(
    'RotationRolledBack',
    SECRET,
    `${SECRET} was not rotated. ${step} failed: ${message}`,
    {
      step,
      cause: { type, message },
      undone: ['delete the new key'],
    },
  );
  expect(failed.exitCode).toBe(1);
  expect(failed.message).toMatch(
    new RegExp(
      `^${SECRET} was not rotated\\. ${step} failed: [^\\n]+\\nUndone:\\n  delete the new key\\n.*keyturn rotate ${SECRET}`,
      's',
    ),
  );
});
