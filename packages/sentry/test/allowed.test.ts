/** What may leave, held against envelopes that hold everything else. */
import type { Envelope } from '@sentry/core';
import { describe, expect, it } from 'vitest';
import { type Canary, leaksIn } from '../../../tests/support/canaries.ts';
import { allowedEnvelope } from '../src/allowed.ts';

const TEXT = 'Hi "Ada" – canary of a message 4b1d, with <tags> & more';
const CANARIES: readonly Canary[] = [{ name: 'the text', value: TEXT }];
const ID = '0123456789abcdef0123456789abcdef';
const RUN_ID = '00000000-0000-4000-8000-000000000001';

const SAFE_FRAME = {
  filename: 'apps/jobs-api/src/app.ts',
  function: 'start',
  lineno: 1,
  colno: 2,
  in_app: true,
};

const SAFE_EVENT = {
  event_id: ID,
  timestamp: 1_770_000_000.5,
  platform: 'node',
  level: 'error',
  release: '0.1.0+abc',
  environment: 'production',
  exception: {
    values: [
      {
        type: 'TypeError',
        value: 'x is not a function',
        stacktrace: { frames: [SAFE_FRAME] },
        mechanism: { type: 'generic', handled: true },
      },
    ],
  },
  tags: { process: 'worker', job: 'dm-queue', run_id: RUN_ID, slot: '2026-03-02T10:00:00+00:00' },
};

const SAFE_ALERT = {
  event_id: ID,
  timestamp: 1_770_000_000.5,
  platform: 'node',
  level: 'error',
  release: '0.1.0+abc',
  environment: 'production',
  message: 'Alert opened: slot_missed',
  fingerprint: ['alert', 'slot_missed'],
  tags: { process: 'worker', alert: 'slot_missed' },
};

const SAFE_CHECK_IN = {
  check_in_id: ID,
  monitor_slug: 'dm-queue',
  status: 'ok',
  duration: 1.5,
  release: '0.1.0',
  environment: 'production',
  monitor_config: {
    schedule: { type: 'crontab', value: '*/15 * * * *' },
    timezone: 'UTC',
    checkin_margin: 5,
    max_runtime: 20,
  },
};

const HEADERS = { event_id: ID, sent_at: '2026-03-02T10:00:00.000Z' };

const envelope = (type: string, payload: unknown, headers: object = HEADERS): Envelope =>
  [headers, [[{ type }, payload]]] as unknown as Envelope;

const payloadOf = (sent: Envelope): unknown =>
  (allowedEnvelope(sent) as [unknown, [[unknown, unknown]]] | null)?.[1][0][1];

/** Every string of an event is the text, also where an id or a number should be. */
function poisoned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(poisoned);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, poisoned(member)]));
  }
  return TEXT;
}

describe('an envelope', () => {
  it.each([
    { type: 'event', payload: SAFE_EVENT },
    { type: 'event', payload: SAFE_ALERT },
    { type: 'check_in', payload: SAFE_CHECK_IN },
  ])('of a $type that is ours passes as it is', ({ type, payload }) => {
    expect(allowedEnvelope(envelope(type, payload))).toEqual([HEADERS, [[{ type }, payload]]]);
  });

  it.each([
    { ...SAFE_ALERT, message: TEXT },
    { ...SAFE_ALERT, message: `Alert opened: ${TEXT}` },
    { ...SAFE_ALERT, tags: { process: 'worker', alert: TEXT } },
    { ...SAFE_ALERT, fingerprint: TEXT },
  ])('of an alert that says anything but its code is not sent', (payload) => {
    expect(allowedEnvelope(envelope('event', payload))).toBeNull();
  });

  it.each([
    'transaction',
    'session',
    'sessions',
    'attachment',
    'feedback',
    'user_report',
    'profile',
    'profile_chunk',
    'replay_event',
    'replay_recording',
    'span',
    'log',
    'trace_metric',
    'client_report',
    'raw_security',
    '__proto__',
  ])('of a %s is not sent', (type) => {
    expect(allowedEnvelope(envelope(type, { ...SAFE_EVENT, ...SAFE_CHECK_IN }))).toBeNull();
  });

  it('loses an attachment that comes with an event, and every header that is not named', () => {
    const headers = { ...HEADERS, trace: { user: TEXT, sample_rand: TEXT }, dsn: TEXT, sdk: { name: TEXT } };
    const items = [
      [{ type: 'event', filename: TEXT, sample_rates: [TEXT] }, SAFE_EVENT],
      [{ type: 'attachment', length: 5, filename: TEXT }, TEXT],
    ];
    const sent = allowedEnvelope([headers, items] as unknown as Envelope);
    expect(sent).toEqual([HEADERS, [[{ type: 'event' }, SAFE_EVENT]]]);
  });
});

describe('an event', () => {
  it('has nothing but what is named: no message, request, user, breadcrumbs, contexts, variables', () => {
    const hostile = {
      ...SAFE_EVENT,
      message: TEXT,
      logentry: { message: TEXT, params: [TEXT] },
      logger: TEXT,
      transaction: TEXT,
      server_name: TEXT,
      fingerprint: [TEXT],
      extra: { text: TEXT, nested: { text: TEXT } },
      breadcrumbs: [{ message: TEXT, data: { url: TEXT } }],
      contexts: { trace: { data: TEXT }, runtime: { name: TEXT }, response: { body: TEXT } },
      request: {
        url: TEXT,
        data: TEXT,
        headers: { cookie: TEXT },
        cookies: TEXT,
        query_string: TEXT,
        env: TEXT,
      },
      user: { id: TEXT, ip_address: TEXT, email: TEXT },
      modules: { [TEXT]: TEXT },
      sdk: { name: TEXT, packages: [{ name: TEXT }] },
      debug_meta: { images: [TEXT] },
      spans: [{ description: TEXT }],
      tags: { ...SAFE_EVENT.tags, text: TEXT, [TEXT]: 'x', url: TEXT },
      exception: {
        values: [
          {
            ...SAFE_EVENT.exception.values[0],
            module: TEXT,
            thread_id: TEXT,
            mechanism: { type: 'generic', handled: true, data: { text: TEXT }, source: TEXT },
            stacktrace: {
              frames: [
                {
                  ...SAFE_FRAME,
                  vars: { message: TEXT },
                  context_line: TEXT,
                  pre_context: [TEXT],
                  post_context: [TEXT],
                  abs_path: TEXT,
                  module: TEXT,
                  module_metadata: { text: TEXT },
                },
              ],
              registers: { rax: TEXT },
            },
          },
        ],
        text: TEXT,
      },
    };
    expect(payloadOf(envelope('event', hostile))).toEqual(SAFE_EVENT);
  });

  it('keeps no text in the place of an id, a name or a number', () => {
    const hostile = { ...(poisoned(SAFE_EVENT) as object), event_id: ID };
    const tags = {
      ...(poisoned(SAFE_EVENT.tags) as object),
      process: 'worker',
      code: TEXT,
      kind: TEXT,
      route: TEXT,
    };
    const exception = {
      values: [
        {
          type: 'Error',
          stacktrace: { frames: [poisoned(SAFE_FRAME)] },
          mechanism: poisoned({ type: 'generic', handled: true }),
        },
      ],
    };
    const sent = payloadOf(envelope('event', { ...hostile, tags, exception }));
    expect(sent).toEqual({
      event_id: ID,
      tags: { process: 'worker' },
      exception: { values: [{ type: 'Error', stacktrace: { frames: [{}] }, mechanism: {} }] },
    });
    expect(leaksIn([{ where: 'the event', text: JSON.stringify(sent) }], CANARIES)).toEqual([]);
  });

  it('is of one error, with the frames nearest to it, and a message of bounded length', () => {
    const frames = Array.from({ length: 80 }, (_, lineno) => ({ lineno }));
    const value = `${'x'.repeat(999)}\ud83d\ude00`;
    const values = [{ type: 'First' }, { type: 'Error', value, stacktrace: { frames } }];
    const sent = payloadOf(envelope('event', { ...SAFE_EVENT, exception: { values } })) as typeof SAFE_EVENT;
    expect(sent.exception.values).toHaveLength(1);
    expect(sent.exception.values[0]?.stacktrace.frames.map(({ lineno }) => lineno)).toEqual(
      Array.from({ length: 50 }, (_, index) => 30 + index),
    );
    expect(sent.exception.values[0]?.value).toBe(`${'x'.repeat(999)}\ufffd`);
  });

  it('that was not made here is not sent at all', () => {
    const { tags: _, ...untagged } = SAFE_EVENT;
    expect(allowedEnvelope(envelope('event', untagged))).toBeNull();
    expect(allowedEnvelope(envelope('event', { ...SAFE_EVENT, tags: { job: 'dm-queue' } }))).toBeNull();
    expect(allowedEnvelope(envelope('event', { event_id: ID, message: TEXT }))).toBeNull();
    expect(allowedEnvelope(envelope('event', null))).toBeNull();
  });
});

describe('a check-in', () => {
  it('has nothing but what is named, each in its form', () => {
    const hostile = {
      ...SAFE_CHECK_IN,
      contexts: { trace: { data: TEXT } },
      monitor_config: { ...SAFE_CHECK_IN.monitor_config, owner: TEXT, failure_issue_threshold: TEXT },
    };
    expect(payloadOf(envelope('check_in', hostile))).toEqual(SAFE_CHECK_IN);
    const { check_in_id, monitor_slug, status } = SAFE_CHECK_IN;
    const ids = { check_in_id, monitor_slug, status };
    const poison = { ...(poisoned(SAFE_CHECK_IN) as object), ...ids };
    expect(payloadOf(envelope('check_in', poison))).toEqual({
      ...ids,
      monitor_config: { schedule: {} },
    });
    for (const name of Object.keys(ids)) {
      expect(allowedEnvelope(envelope('check_in', { ...SAFE_CHECK_IN, [name]: TEXT }))).toBeNull();
    }
  });
});
