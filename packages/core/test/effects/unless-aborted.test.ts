import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { unlessAborted } from '../../src/effects/index.ts';

it('gives what the work comes to, and leaves nothing at a signal that outlives it', async () => {
  const { signal } = new AbortController();
  for (let count = 0; count < 20; count += 1) {
    expect(await unlessAborted(Promise.resolve(count), signal)).toBe(count);
  }
  await expect(unlessAborted(Promise.reject(new Error('failed')), signal)).rejects.toThrow('failed');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('gives null as soon as the signal aborts, also if it had before', async () => {
  const stop = new AbortController();
  const never = new Promise<number>(() => {});
  const waited = unlessAborted(never, stop.signal);
  stop.abort();
  expect(await waited).toBeNull();
  expect(await unlessAborted(never, stop.signal)).toBeNull();
});
