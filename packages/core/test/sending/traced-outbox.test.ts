import { describe, expect, it } from 'vitest';
import type { ClaimedAttempt } from '../../src/sending/index.ts';
import type { Outbox } from '../../src/sending/outbox.ts';
import { tracedOutbox } from '../../src/sending/traced-outbox.ts';
import { NO_SPAN, type Span, type SpanFacts } from '../../src/telemetry/index.ts';

interface Recorded {
  readonly name: string;
  readonly facts: SpanFacts;
  readonly links: readonly Recorded[];
  isEnded: boolean;
  hasFailed: boolean;
}

/** A span that writes down its children. */
function recordingSpan() {
  const children: Recorded[] = [];
  const recordOf = new WeakMap<Span, Recorded>();
  const child: Span['child'] = (name, facts, links = []) => {
    const linked = links.map((link) => recordOf.get(link)).filter((link) => link !== undefined);
    const record: Recorded = { name, facts: { ...facts }, links: linked, isEnded: false, hasFailed: false };
    children.push(record);
    const span: Span = {
      ...NO_SPAN,
      set: (more) => void Object.assign(record.facts, more),
      fail: () => {
        record.hasFailed = true;
      },
      end: () => {
        record.isEnded = true;
      },
    };
    recordOf.set(span, record);
    return span;
  };
  return { span: { ...NO_SPAN, isRecorded: true, child }, children };
}

const run = { id: 'a-run', job: 'dm-queue', scheduled_for: null } as never;
const OF_RUN = { job: 'dm-queue', run_id: 'a-run', slot: null, slice: 1 };
const ITEM: ClaimedAttempt = { attempt_id: 'a', account_id: 'ada', attempts: 0, lease_until: '' };

function outboxOf(change: Partial<Outbox>): Outbox {
  return {
    claim: async () => ({ now: '', next_claim_at: null, items: [] }),
    record: async (results: readonly { attempt_id: string }[]) =>
      results.map(({ attempt_id }) => ({ attempt_id, applied: 'recorded' as const, status: 'sent' })),
    reconcile: {
      look: async ({ attempt_id }: { attempt_id: string }) => ({ attempt_id, found: 'absent' as const }),
      resolve: async () => [],
    },
    ...change,
  } as unknown as Outbox;
}

const CLAIM = { claimId: '', worker: '', limit: 5, leaseMs: 1, draw: 0 };
const send = (outbox: Outbox) => outbox.send(ITEM, () => true, new AbortController().signal);

describe('an outbox', () => {
  it('of a slice that is not traced is what it was', () => {
    const outbox = outboxOf({});
    expect(tracedOutbox(outbox, { run, slice: 1, span: NO_SPAN })).toBe(outbox);
  });

  it('has a span of each call, and of each record with links to its calls', async () => {
    const { span, children } = recordingSpan();
    const sent = { attempt_id: 'a', outcome: 'sent', http_status: 201, detail: 'canary' } as const;
    const outbox = tracedOutbox(outboxOf({ send: async () => sent }), { run, slice: 1, span });
    await outbox.record([await send(outbox)]);
    const [call, record] = children;
    expect(call).toEqual({
      name: 'call',
      facts: {
        ...OF_RUN,
        account_id: 'ada',
        attempt_id: 'a',
        outcome: 'sent',
        http_status: 201,
        reason: undefined,
      },
      ...{ links: [], isEnded: true, hasFailed: false },
    });
    expect(record).toEqual({
      name: 'record',
      facts: { ...OF_RUN, count: 1 },
      ...{ links: [call], isEnded: true, hasFailed: false },
    });
  });

  it('says of a row that was given back that no call was made', async () => {
    const { span, children } = recordingSpan();
    const released = { attempt_id: 'a', outcome: 'not_sent', next_step: 'release' } as const;
    await send(tracedOutbox(outboxOf({ send: async () => released }), { run, slice: 1, span }));
    expect(children).toMatchObject([{ facts: { outcome: 'released' } }]);
  });

  it('tells of a claim that gave something, or failed, and of no other', async () => {
    const { span, children } = recordingSpan();
    const answers = [async () => [], async () => [ITEM], () => Promise.reject(new Error('away'))];
    const outbox = tracedOutbox(
      outboxOf({
        claim: async () => ({ now: '', next_claim_at: null, items: (await answers.shift()?.()) ?? [] }),
      }),
      { run, slice: 1, span },
    );
    await outbox.claim(CLAIM);
    await outbox.claim(CLAIM);
    await expect(outbox.claim(CLAIM)).rejects.toThrow('away');
    expect(children).toMatchObject([
      { name: 'claim', facts: { asked: 5, count: 0 }, isEnded: false },
      { name: 'claim', facts: { asked: 5, count: 1 }, isEnded: true, hasFailed: false },
      { name: 'claim', facts: { asked: 5 }, isEnded: true, hasFailed: true },
    ]);
  });

  it('ends the span of a call that throws, and throws what it threw', async () => {
    const { span, children } = recordingSpan();
    const failing = outboxOf({ send: () => Promise.reject(new RangeError('no')) });
    await expect(send(tracedOutbox(failing, { run, slice: 1, span }))).rejects.toThrow(RangeError);
    expect(children).toMatchObject([{ name: 'call', isEnded: true, hasFailed: true }]);
  });

  it('has a span of each look, and of what was settled by it', async () => {
    const { span, children } = recordingSpan();
    const { reconcile } = tracedOutbox(outboxOf({}), { run, slice: 1, span });
    await reconcile.resolve([await reconcile.look({ attempt_id: 'a' })]);
    expect(children).toMatchObject([
      { name: 'look', facts: { ...OF_RUN, attempt_id: 'a', outcome: 'absent' }, isEnded: true },
      { name: 'record', facts: { ...OF_RUN, count: 1 }, links: [{ name: 'look' }], isEnded: true },
    ]);
  });
});
