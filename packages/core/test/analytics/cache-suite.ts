/** What every cache must do: the same suite for Postgres and for Redis. */
import { expect, it } from 'vitest';
import type { Cache } from '../../src/analytics/cache.ts';
import type { SimulatedEffects } from '../../src/effects/index.ts';

export interface CacheUnderTest {
  readonly cache: Cache;
  /** The clock that the cache reads. */
  readonly effects: SimulatedEffects;
}

const HOUR_MS = 3_600_000;

export function describeCache(open: () => CacheUnderTest): void {
  it('knows nothing of a key that nobody wrote', async () => {
    expect(await open().cache.read('nothing')).toBeNull();
  });

  it.each([
    { name: 'an object', value: { days: [{ day: '2026-03-02', sent: 3 }], as_of: null } },
    { name: 'text with an apostrophe, an emoji and a backslash', value: `it’s 'that' 👋 \\ "so"` },
    { name: 'a number', value: 0 },
    { name: 'false', value: false },
    { name: 'null', value: null },
    { name: 'an empty list', value: [] },
  ])('gives back $name as it was, and as of when', async ({ name, value }) => {
    const { cache, effects } = open();
    const written = await cache.write(name, value, HOUR_MS);
    expect(written).toEqual({ as_of: effects.now().toISOString(), value });
    expect(await cache.read(name)).toEqual(written);
  });

  it('keeps the last of what was written, under each key its own', async () => {
    const { cache, effects } = open();
    await cache.write('a', 1, HOUR_MS);
    await cache.write('b', 2, HOUR_MS);
    await effects.advance(1_000);
    await cache.write('a', 3, HOUR_MS);
    expect((await cache.read('a'))?.value).toBe(3);
    expect((await cache.read('b'))?.value).toBe(2);
    expect((await cache.read('a'))?.as_of).toBe(effects.now().toISOString());
  });

  it('keys that only look alike are two', async () => {
    const { cache } = open();
    await cache.write('summary:2026-03-01:2026-03-02:day', 1, HOUR_MS);
    expect(await cache.read('summary:2026-03-01:2026-03-02:da')).toBeNull();
    expect(await cache.read('SUMMARY:2026-03-01:2026-03-02:day')).toBeNull();
  });

  it('takes a key of 200 characters', async () => {
    const { cache } = open();
    await cache.write('k'.repeat(200), 1, HOUR_MS);
    expect((await cache.read('k'.repeat(200)))?.value).toBe(1);
  });

  it('many at once', async () => {
    const { cache } = open();
    const keys = Array.from({ length: 20 }, (_, n) => `many:${n}`);
    await Promise.all(keys.map((key) => cache.write(key, { key }, HOUR_MS)));
    const read = await Promise.all(keys.map((key) => cache.read(key)));
    expect(read.map((cached) => cached?.value)).toEqual(keys.map((key) => ({ key })));
  });
}
