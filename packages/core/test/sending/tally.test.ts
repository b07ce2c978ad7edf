import { describe, expect, it } from 'vitest';
import type { AttemptResult, RecordedResult } from '../../src/sending/index.ts';
import { createTally } from '../../src/sending/tally.ts';
import { captureLog } from '../support/log.ts';

const tallyOf = (stats: Record<string, number> = {}, limit?: number) => {
  const log = captureLog();
  const params = limit === undefined ? {} : { limit };
  return { tally: createTally<AttemptResult>({ params, stats }, log.logger), log };
};

const result = (change: Partial<AttemptResult> = {}): AttemptResult => ({
  ...{ attempt_id: '1', outcome: 'sent' },
  ...change,
});

const answer = (change: Partial<RecordedResult> = {}): RecordedResult => ({
  ...{ attempt_id: '1', applied: 'recorded', status: 'sent' },
  ...change,
});

describe('the calls that a run may still make', () => {
  it('are as many as it likes, without a limit', () => {
    const { tally } = tallyOf();
    tally.claimed(1_000);
    expect(tally.callsLeft).toBe(Number.POSITIVE_INFINITY);
  });

  it('are less by what is claimed, and not by what was given back unsent', () => {
    const { tally } = tallyOf({}, 10);
    tally.claimed(6);
    expect(tally.callsLeft).toBe(4);
    tally.recorded([result({ outcome: 'not_sent', next_step: 'release' })], [answer({ status: 'pending' })]);
    expect(tally.callsLeft).toBe(5);
    // Of a claim whose answer was lost, nothing was sent.
    tally.givenBack(3);
    expect(tally.callsLeft).toBe(5);
  });

  it('go on from what an earlier process counted, also where it had lost a claim', () => {
    const first = tallyOf({}, 10);
    first.tally.claimed(6);
    first.tally.givenBack(4);
    expect(tallyOf({ ...first.tally.counts }, 10).tally.callsLeft).toBe(4);
  });
});

describe('what became of a row', () => {
  it.each([
    { what: 'sent', of: result(), as: answer(), counted: 'sent' },
    {
      what: 'failed',
      of: result({ outcome: 'not_sent' }),
      as: answer({ status: 'failed' }),
      counted: 'failed',
    },
    {
      what: 'unknown',
      of: result({ outcome: 'unknown' }),
      as: answer({ status: 'unknown' }),
      counted: 'unknown',
    },
    {
      what: 'to be tried again',
      of: result({ outcome: 'not_sent' }),
      as: answer({ status: 'pending' }),
      counted: 'retried',
    },
    {
      what: 'given back',
      of: result({ outcome: 'not_sent', next_step: 'release' }),
      as: answer({ status: 'pending' }),
      counted: 'released',
    },
    {
      what: 'recorded by a call whose answer was lost',
      of: result(),
      as: answer({ applied: 'ignored' }),
      counted: 'sent',
    },
  ])('$what is counted once', ({ of, as, counted }) => {
    const { tally, log } = tallyOf();
    tally.recorded([of], [as]);
    expect(Object.entries(tally.counts).filter(([, count]) => count > 0)).toEqual([[counted, 1]]);
    expect(log.messages()).toEqual([]);
  });

  it.each([
    { what: 'that is gone', of: result(), as: answer({ applied: 'missing', status: null }) },
    {
      what: 'that is otherwise by now',
      of: result({ outcome: 'unknown' }),
      as: answer({ applied: 'ignored' }),
    },
  ])('one $what is not counted, and told', ({ of, as }) => {
    const { tally, log } = tallyOf();
    tally.recorded([of], [as]);
    expect(Object.values(tally.counts).every((count) => count === 0)).toBe(true);
    expect(log.messages()).toEqual(['result came too late']);
  });
});
