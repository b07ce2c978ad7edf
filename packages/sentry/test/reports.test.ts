/** Reports, over HTTP to a stand-in of Sentry. */
import { type SentryStandIn, startSentry } from '@revos/local-stack/sentry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Canary, leaksIn } from '../../../tests/support/canaries.ts';
import { createSentryReports } from '../src/index.ts';

const TEXT = 'Hi "Ada" – canary of a message 4b1d, with <tags> & more';
const SECRET = 'Sekret/Passw0rd+canary-51c7';
const CANARIES: readonly Canary[] = [
  { name: 'the text', value: TEXT },
  { name: 'a secret', value: SECRET },
];
const RUN_ID = '00000000-0000-4000-8000-000000000001';
const ACCOUNT_ID = '00000000-0000-4000-8000-000000000002';

/** A wait that nothing here should take all of. */
const FLUSH_MS = 10_000;

let sentry: SentryStandIn;
beforeEach(async () => {
  sentry = await startSentry();
});
afterEach(() => sentry.close());

const open = (dsn = sentry.dsn) =>
  createSentryReports({
    ...{ dsn, environment: 'staging', process: 'worker', release: '0.1.0+abc' },
    secrets: [SECRET],
  });

describe('an error', () => {
  it('is told with its place and its ids, by the names that are allowed and no others', async () => {
    const reports = open();
    const facts = {
      job: 'dm-queue',
      run_id: RUN_ID,
      slot: '2026-03-02T10:00:00.000Z',
      slice: 0,
      account_id: ACCOUNT_ID,
    };
    reports.error(new TypeError('x is not a function', { cause: new RangeError(TEXT) }), facts);
    await reports.flush(FLUSH_MS);
    expect(sentry.items()).toEqual([
      {
        type: 'event',
        payload: {
          event_id: expect.stringMatching(/^[0-9a-f]{32}$/),
          timestamp: expect.any(Number),
          platform: 'node',
          level: 'error',
          release: '0.1.0+abc',
          environment: 'staging',
          exception: {
            values: [
              {
                type: 'TypeError',
                value: 'x is not a function',
                stacktrace: { frames: expect.any(Array) },
                mechanism: { type: 'generic', handled: true },
              },
            ],
          },
          tags: { ...facts, slice: '0', process: 'worker', cause: 'RangeError' },
        },
      },
    ]);
    const [event] = sentry.items();
    const exception = event?.payload.exception as
      | { values: [{ stacktrace: { frames: readonly object[] } }] }
      | undefined;
    expect(exception?.values[0].stacktrace.frames.at(-1)).toMatchObject({
      filename: 'packages/sentry/test/reports.test.ts',
      lineno: expect.any(Number),
      in_app: true,
    });
    const [request] = sentry.requests;
    expect(request).toMatchObject({ method: 'POST' });
    expect(request?.url).toMatch(/^\/api\/42\/envelope\//);
    expect(request?.headers['content-type']).toBe('application/x-sentry-envelope');
    expect(JSON.parse(request?.body.split('\n')[0] ?? '')).toEqual({
      event_id: event?.payload.event_id,
      sent_at: expect.stringMatching(/^\d{4}-.*Z$/),
    });
  });

  it('is told once, however often it is given', async () => {
    const reports = open();
    const error = new Error('once');
    reports.error(error);
    reports.error(error, { job: 'dm-queue' });
    reports.error(new Error('once'));
    await reports.flush(FLUSH_MS);
    expect(sentry.items('event')).toHaveLength(2);
  });

  it.each<{ name: string; thrown: () => unknown; value: string }>([
    {
      name: 'of Postgres',
      thrown: () =>
        Object.assign(new Error(TEXT), { code: '23514', detail: TEXT, where: TEXT, parameters: [TEXT] }),
      value: 'the database refused with 23514',
    },
    {
      name: 'of a parser',
      thrown: () => new SyntaxError(`Unexpected token, "${TEXT}" is not valid JSON`),
      value: 'what was read cannot be parsed',
    },
    {
      name: 'that is none',
      thrown: () => ({ message: TEXT, text: TEXT }),
      value: 'something that is no error was thrown',
    },
    { name: 'that is a string', thrown: () => TEXT, value: 'something that is no error was thrown' },
    {
      name: 'with a secret in its message',
      thrown: () => new TypeError(`"${SECRET}" is an invalid header value`),
      value: '"[redacted]" is an invalid header value',
    },
    {
      name: 'with members of its own',
      thrown: () =>
        Object.assign(new Error('no'), {
          name: TEXT,
          code: TEXT,
          kind: TEXT,
          cause: Object.assign(new Error(TEXT), { name: TEXT, code: TEXT }),
          request: { headers: { authorization: SECRET }, body: TEXT },
          errors: [new Error(TEXT)],
          toJSON: () => TEXT,
        }),
      value: 'no',
    },
    {
      name: 'whose stack was written by somebody else',
      thrown: () =>
        Object.assign(new Error('no'), {
          stack: `Error: ${TEXT}\n    at ${TEXT} (${TEXT}:1:2)\n    at ${SECRET}:3:4`,
        }),
      value: 'no',
    },
  ])('$name tells nothing that it was given', async ({ thrown, value }) => {
    const reports = open();
    reports.error(thrown(), { job: TEXT, run_id: TEXT, account_id: SECRET, route: TEXT });
    await reports.flush(FLUSH_MS);
    const [event] = sentry.items('event');
    expect(event?.payload).toMatchObject({ exception: { values: [{ value }] } });
    const said = sentry.requests.map(({ url, body, headers }) => url + JSON.stringify(headers) + body);
    expect(leaksIn([{ where: 'what was sent', text: said.join('\n') }], CANARIES)).toEqual([]);
  });

  it('that ends the process says so', async () => {
    const reports = open();
    reports.error(new Error('the end'), {}, 'fatal');
    await reports.flush(FLUSH_MS);
    expect(sentry.items('event')[0]?.payload).toMatchObject({
      level: 'fatal',
      exception: { values: [{ mechanism: { handled: false } }] },
    });
  });
});

describe('an alert', () => {
  it('is told by its code, when it begins and when it ends', async () => {
    const reports = open();
    for (const event of ['opened', 'ended'] as const) reports.alert({ code: 'slot_missed', event });
    await reports.flush(FLUSH_MS);
    expect(sentry.items('event').map(({ payload }) => payload)).toMatchObject([
      { level: 'error', message: 'Alert opened: slot_missed', fingerprint: ['alert', 'slot_missed'] },
      { level: 'info', message: 'Alert ended: slot_missed', fingerprint: ['alert', 'slot_missed'] },
    ]);
  });
});

describe('a check-in', () => {
  const slot = new Date('2026-03-02T10:00:00.000Z');
  const checkIn = { job: 'dm-queue', schedule: '*/15 * * * *', slot, runMinutesMax: 20 } as const;

  it('names its slot alike in every process, and tells the schedule', async () => {
    const [one, other] = [open(), open()];
    one.checkIn({ ...checkIn, status: 'in_progress' });
    await one.flush(FLUSH_MS);
    other.checkIn({ ...checkIn, status: 'ok', durationMs: 1_500 });
    await other.flush(FLUSH_MS);
    const same = {
      check_in_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      monitor_slug: 'dm-queue',
      release: '0.1.0+abc',
      environment: 'staging',
      monitor_config: {
        schedule: { type: 'crontab', value: '*/15 * * * *' },
        timezone: 'UTC',
        checkin_margin: 5,
        max_runtime: 20,
      },
    };
    expect(sentry.items()).toEqual([
      { type: 'check_in', payload: { ...same, status: 'in_progress' } },
      { type: 'check_in', payload: { ...same, status: 'ok', duration: 1.5 } },
    ]);
    const ids = sentry.items().map(({ payload }) => payload.check_in_id);
    expect(ids[0]).toBe(ids[1]);
    const next = new Date('2026-03-02T10:15:00.000Z');
    one.checkIn({ ...checkIn, slot: next, status: 'in_progress' });
    await one.flush(FLUSH_MS);
    expect(sentry.items().at(-1)?.payload.check_in_id).not.toBe(ids[0]);
  });
});

describe('Sentry', () => {
  it('away: nothing throws, and nobody waits', async () => {
    const gone = await startSentry();
    await gone.close();
    const reports = open(gone.dsn);
    reports.error(new Error('lost'));
    await reports.flush(FLUSH_MS);
    expect(sentry.requests).toEqual([]);
  });

  it('silent: a flush waits no longer than it was told, and what is too much is dropped', async () => {
    sentry.answerWith('nothing');
    const reports = open();
    for (let count = 0; count < 100; count += 1) reports.error(new Error(`lost ${count}`));
    const startedAt = performance.now();
    await reports.flush(200);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
    expect(sentry.requests.length).toBeLessThanOrEqual(32);
  });

  it.each([500, 413])('that answers %s is not asked again for the same', async (status) => {
    sentry.answerWith(status);
    const reports = open();
    reports.error(new Error('refused'));
    await reports.flush(FLUSH_MS);
    expect(sentry.requests).toHaveLength(1);
  });

  it('that answers 429 is left alone for as long as it says', async () => {
    sentry.answerWith(429);
    const reports = open();
    reports.error(new Error('first'));
    await reports.flush(FLUSH_MS);
    for (let count = 0; count < 10; count += 1) reports.error(new Error(`more ${count}`));
    await reports.flush(FLUSH_MS);
    expect(sentry.requests).toHaveLength(1);
  });
});
