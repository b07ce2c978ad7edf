import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createPermits, type Dispatch } from '../../src/sending/permits.ts';
import { createGate, type Gate } from '../support/gate.ts';

/** Permits whose calls end when the test says so. */
function slotsOf(size: number) {
  const calls: number[] = [];
  const returned: number[] = [];
  const gates = new Map<number, Gate>();
  let endings = 0;
  const permits = createPermits<number>(
    size,
    async ({ item, maySend }) => {
      if (!maySend()) return void returned.push(item);
      calls.push(item);
      const gate = createGate();
      gates.set(item, gate);
      await gate.passed;
    },
    () => {
      endings += 1;
    },
  );
  const end = async (item: number): Promise<void> => {
    gates.get(item)?.open();
    await turn();
  };
  return { permits, calls, returned, end, endings: () => endings };
}

const always = (item: number): Dispatch<number> => ({ item, maySend: () => true });

describe('permits', () => {
  it('are filled in order; what finds none waits for one', async () => {
    const { permits, calls, end } = slotsOf(2);
    for (const item of [1, 2, 3, 4]) permits.add(always(item));
    expect(calls).toEqual([1, 2]);
    expect([permits.inFlight, permits.waiting, permits.ended]).toEqual([2, 2, 0]);
    await end(2);
    expect(calls).toEqual([1, 2, 3]);
    expect([permits.inFlight, permits.waiting, permits.ended]).toEqual([2, 1, 1]);
    await end(1);
    expect(calls).toEqual([1, 2, 3, 4]);
    expect([permits.inFlight, permits.waiting, permits.ended]).toEqual([2, 0, 2]);
  });

  it('tell of each end', async () => {
    const { permits, end, endings } = slotsOf(1);
    permits.add(always(1));
    permits.add(always(2));
    expect(endings()).toBe(0);
    await end(1);
    expect(endings()).toBe(1);
    await end(2);
    expect(endings()).toBe(2);
  });

  it('are not needed by what may not be sent any more', async () => {
    const { permits, calls, returned } = slotsOf(1);
    let mayGoOut = true;
    permits.add(always(1));
    permits.add({ item: 2, maySend: () => mayGoOut });
    permits.add({ item: 3, maySend: () => mayGoOut });
    permits.dispatch();
    expect([calls, returned]).toEqual([[1], []]);
    mayGoOut = false;
    permits.dispatch();
    expect([calls, returned]).toEqual([[1], [2, 3]]);
    expect(permits.waiting).toBe(0);
    await turn();
    expect(permits.inFlight).toBe(1);
  });

  it('are drained once nothing waits, and nothing is under way', async () => {
    const { permits, end } = slotsOf(1);
    await permits.drain();
    for (const item of [1, 2]) permits.add(always(item));
    let isDrained = false;
    const drained = permits.drain().then(() => {
      isDrained = true;
    });
    await end(1);
    expect(isDrained).toBe(false);
    await end(2);
    await drained;
    expect(permits.inFlight).toBe(0);
  });
});
