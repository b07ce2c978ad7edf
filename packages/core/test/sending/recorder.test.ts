import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { simulatedEffects } from '../../src/effects/index.ts';
import { RpcError } from '../../src/rpc/index.ts';
import type { AttemptResult, RecordedResult } from '../../src/sending/index.ts';
import { createRecorder } from '../../src/sending/recorder.ts';
import { createGate } from '../support/gate.ts';
import { captureLog } from '../support/log.ts';

const resultOf = (id: number): AttemptResult => ({ attempt_id: String(id), outcome: 'sent' });
const idsOf = (results: readonly { attempt_id: string }[]): number[] =>
  results.map(({ attempt_id }) => Number(attempt_id));
const refusal = (kind: RpcError['kind'], code = '') => new RpcError(kind, 'dm_record', code, 'refused');

/** A recorder over a scripted ledger: `answer` decides what each write comes to. */
function recorderOf(answer: (ids: number[], call: number) => Promise<void> | void) {
  const calls: number[][] = [];
  const recorded: number[][] = [];
  const record = async (results: readonly AttemptResult[]): Promise<readonly RecordedResult[]> => {
    calls.push(idsOf(results));
    await answer(idsOf(results), calls.length);
    return results.map(({ attempt_id }) => ({ attempt_id, applied: 'recorded', status: 'sent' }));
  };
  const effects = simulatedEffects(new Date('2026-03-02T09:00:00Z'));
  const log = captureLog();
  const recorder = createRecorder(record, { effects, logger: log.logger }, (results, answers) => {
    expect(idsOf(answers)).toEqual(idsOf(results));
    recorded.push(idsOf(results));
  });
  return { recorder, calls, recorded, effects, log };
}

describe('batches', () => {
  it('writes the first result at once, and what gathers meanwhile together', async () => {
    const gate = createGate();
    const { recorder, calls, recorded } = recorderOf((_ids, call) => (call === 1 ? gate.passed : undefined));
    for (let id = 1; id <= 5; id += 1) recorder.add(resultOf(id));
    expect(calls).toEqual([[1]]);
    expect(recorded).toEqual([]);
    gate.open();
    await recorder.drain();
    expect(calls).toEqual([[1], [2, 3, 4, 5]]);
    expect(recorded).toEqual(calls);
  });

  it.each([
    { count: 201, sizes: [1, 200] },
    { count: 202, sizes: [1, 200, 1] },
    { count: 1_000, sizes: [1, 200, 200, 200, 200, 199] },
  ])('$count results are written $sizes', async ({ count, sizes }) => {
    const { recorder, calls } = recorderOf(() => {});
    for (let id = 0; id < count; id += 1) recorder.add(resultOf(id));
    await recorder.drain();
    expect(calls.map(({ length }) => length)).toEqual(sizes);
    expect(calls.flat()).toEqual(Array.from({ length: count }, (_, id) => id));
  });

  it('one write at a time, also where results come during one', async () => {
    let active = 0;
    let activeMax = 0;
    const { recorder } = recorderOf(async (ids) => {
      active += 1;
      activeMax = Math.max(activeMax, active);
      await Promise.resolve();
      const [last = 0] = ids.slice(-1);
      if (last < 20) recorder.add(resultOf(last + 1));
      active -= 1;
    });
    recorder.add(resultOf(0));
    await recorder.drain();
    expect(activeMax).toBe(1);
  });
});

describe('isIdle and drain', () => {
  it('nothing added is nothing to wait for', async () => {
    const { recorder, calls } = recorderOf(() => {});
    expect(recorder.isIdle()).toBe(true);
    await recorder.drain();
    expect(calls).toEqual([]);
  });

  it('is busy until the last result is written', async () => {
    const gate = createGate();
    const { recorder } = recorderOf(() => gate.passed);
    recorder.add(resultOf(1));
    expect(recorder.isIdle()).toBe(false);
    let isDrained = false;
    const drained = recorder.drain().then(() => {
      isDrained = true;
    });
    await Promise.resolve();
    expect(isDrained).toBe(false);
    gate.open();
    await drained;
    expect(recorder.isIdle()).toBe(true);
  });

  it('works on after it was idle', async () => {
    const { recorder, calls } = recorderOf(() => {});
    recorder.add(resultOf(1));
    await recorder.drain();
    recorder.add(resultOf(2));
    await recorder.drain();
    expect(calls).toEqual([[1], [2]]);
  });
});

describe('the database is away', () => {
  it.each([
    { failures: 1, waitMs: 200 },
    { failures: 3, waitMs: 200 + 400 + 800 },
    { failures: 10, waitMs: 200 + 400 + 800 + 1_600 + 3_200 + 6_400 + 12_800 + 15_000 * 3 },
  ])('$failures times: written after $waitMs ms, once', async ({ failures, waitMs }) => {
    const { recorder, recorded, effects } = recorderOf((_ids, call) => {
      if (call <= failures) throw refusal('unavailable');
    });
    recorder.add(resultOf(1));
    await turn();
    await effects.advance(waitMs - 1);
    expect(recorded).toEqual([]);
    await effects.advance(1);
    expect(recorded).toEqual([[1]]);
    expect(recorder.isIdle()).toBe(true);
  });

  it('is tried for about half an hour, then given up aloud', async () => {
    const { recorder, calls, recorded, effects, log } = recorderOf(() => {
      throw refusal('unavailable');
    });
    recorder.add(resultOf(1));
    await turn();
    await effects.advance(28 * 60_000);
    expect(recorder.isIdle()).toBe(false);
    await effects.advance(2 * 60_000);
    expect(recorder.isIdle()).toBe(true);
    await recorder.drain();
    expect(calls).toHaveLength(121);
    expect(recorded).toEqual([]);
    expect(log.messages().at(-1)).toBe('results not recorded, their attempts become unknown');
  });

  it('what comes meanwhile waits its turn, and is not lost', async () => {
    const { recorder, recorded, effects } = recorderOf((_ids, call) => {
      if (call <= 2) throw refusal('unavailable');
    });
    recorder.add(resultOf(1));
    recorder.add(resultOf(2));
    recorder.add(resultOf(3));
    await turn();
    await effects.advance(1_000);
    await recorder.drain();
    expect(recorded).toEqual([[1], [2, 3]]);
  });
});

describe('a result that is refused', () => {
  it.each<{ kind: RpcError['kind']; code: string }>([
    { kind: 'rule', code: 'DM040' },
    { kind: 'bug', code: '22P02' },
  ])('$kind: costs none of the others of its batch', async ({ kind, code }) => {
    const { recorder, recorded, log } = recorderOf((ids) => {
      if (ids.includes(3)) throw refusal(kind, code);
    });
    for (let id = 1; id <= 5; id += 1) recorder.add(resultOf(id));
    await recorder.drain();
    expect(recorded).toEqual([[1], [2], [4], [5]]);
    expect(log.messages()).toEqual(['result refused, its attempt becomes unknown']);
    expect(JSON.parse(log.lines[0] ?? '{}').attempt_id).toBe('3');
  });

  it('and the database away in the middle of writing the others alone: all are written', async () => {
    let isAway = true;
    const { recorder, recorded, effects } = recorderOf((ids) => {
      if (ids.includes(2)) throw refusal('bug');
      if (ids.length === 1 && ids[0] === 4 && isAway) {
        isAway = false;
        throw refusal('unavailable');
      }
    });
    for (let id = 1; id <= 5; id += 1) recorder.add(resultOf(id));
    await turn();
    await effects.advance(1_000);
    await recorder.drain();
    expect(recorded).toEqual([[1], [3], [4], [5]]);
  });
});

it('an error that is no answer of the database is not hidden: the drain fails with it', async () => {
  const { recorder } = recorderOf(async () => {
    throw new TypeError('a bug of ours');
  });
  recorder.add(resultOf(1));
  await expect(recorder.drain()).rejects.toThrow('a bug of ours');
});
