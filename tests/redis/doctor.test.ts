/** What the doctor says of a real Redis. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { examine } from '../../apps/jobs-api/src/doctor/examine.ts';
import { type RedisServer, startRedis } from './redis-server.ts';

const PASSWORD = 'the-password-of-redis';

let server: RedisServer;
let redis: Redis;
/** With the password. */
let address: string;

beforeAll(async () => {
  server = await startRedis({ password: PASSWORD });
  address = server.url.replace('redis://', `redis://:${PASSWORD}@`);
  redis = new Redis(address);
});
afterAll(async () => {
  redis?.disconnect();
  await server?.kill();
});

it.each([
  { policy: 'noeviction', engine: 'bullmq', level: 'ok', found: /noeviction/ },
  { policy: 'allkeys-lru', engine: 'bullmq', level: 'wrong', found: /throws things away.*allkeys-lru/ },
  { policy: 'allkeys-lru', engine: 'in-process', level: 'warning', found: /throws things away/ },
])('with $policy, for $engine: $level', async ({ policy, engine, level, found }) => {
  await redis.config('SET', 'maxmemory-policy', policy);
  const { findings } = await examine({ REDIS_URL: address, JOB_ENGINE: engine }, { way: 'worker' });
  const [finding] = findings.filter(({ what }) => what === 'Redis');
  expect(finding?.level).toBe(level);
  expect(finding?.found).toMatch(found);
  expect(JSON.stringify(findings)).not.toContain(PASSWORD);
});

it('with another password: does not answer', async () => {
  const url = address.replace(PASSWORD, 'another-password');
  const { findings } = await examine({ REDIS_URL: url }, { way: 'worker' });
  expect(findings.find(({ what, level }) => what === 'REDIS_URL' && level === 'wrong')?.found).toBe(
    'does not answer, or refuses the password',
  );
});
