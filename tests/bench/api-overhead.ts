/**
 * What the jobs API itself costs a trigger: the same answer by it, with everything it checks, and
 * by Fastify alone.
 *
 * The database answers at once, from memory. The two take turns, each over a socket of its own.
 */
import type { StartedRun } from '@revos/core/jobs';
import type { Rpc } from '@revos/core/rpc';
import { Client } from 'undici';
import { createTestApp, cronRequest } from '../../apps/jobs-api/test/support/app.ts';
import { createBareApp } from '../../apps/jobs-api/test/support/bare-app.ts';
import { openTestDatabase } from '../../apps/jobs-api/test/support/database.ts';
import { quickJob } from '../../apps/jobs-api/test/support/jobs.ts';
import { openEmbeddedServiceDatabase } from '../support/service-database.ts';
import { describeMachine, median, quantile, table } from './report.ts';

const WARM_UP = 2_000;
const REQUESTS_PER_ROUND = 500;
const ROUNDS = 20;

const { body, headers } = cronRequest();

/** A slot's run as the database tells it to whoever asks again. */
async function existingRun(): Promise<StartedRun> {
  const database = await openTestDatabase(await openEmbeddedServiceDatabase());
  const { app, runs } = await createTestApp({ rpc: database.rpc, jobs: [quickJob('quick')] });
  const first = await app.inject({ method: 'POST', url: '/api/jobs/quick', headers, payload: body });
  const { run } = first.json() as StartedRun;
  const ended = await runs.waitForEnd(run, 60_000, new AbortController().signal);
  await app.close();
  await database.close();
  return { outcome: 'exists', run: ended };
}

const answer = await existingRun();
const rpc: Rpc = {
  call: async <Result>(name: string) => (name === 'run_start' ? answer : {}) as Result,
  close: async () => {},
};
const { app: full } = await createTestApp({ rpc, jobs: [quickJob('quick')] });
const bare = createBareApp(answer);
const subjects = await Promise.all(
  [
    { title: 'Fastify alone', app: bare },
    { title: 'the jobs API', app: full },
  ].map(async ({ title, app }) => {
    const client = new Client(await app.listen({ port: 0, host: '127.0.0.1' }));
    const ask = async (): Promise<number> => {
      const startedMs = performance.now();
      const response = await client.request({ method: 'POST', path: '/api/jobs/quick', headers, body });
      await response.body.dump();
      if (response.statusCode !== 200) throw new Error(`${title} answered ${response.statusCode}`);
      return (performance.now() - startedMs) * 1_000;
    };
    return { title, ask, us: [] as number[] };
  }),
);

for (const { ask } of subjects) for (let count = 0; count < WARM_UP; count += 1) await ask();
for (let round = 0; round < ROUNDS; round += 1) {
  for (const { ask, us } of subjects) {
    for (let count = 0; count < REQUESTS_PER_ROUND; count += 1) us.push(await ask());
  }
}
const [alone] = subjects;
const columns = [
  { head: 'A signed trigger answered by', cell: ({ title }: (typeof subjects)[number]) => title },
  { head: 'p50, µs', cell: ({ us }: (typeof subjects)[number]) => median(us).toFixed(0) },
  { head: 'p95, µs', cell: ({ us }: (typeof subjects)[number]) => quantile(us, 0.95).toFixed(0) },
  {
    head: 'of Fastify alone',
    cell: ({ us }: (typeof subjects)[number]) => (median(us) / median(alone?.us ?? [])).toFixed(2),
  },
];
process.stdout.write(`${describeMachine()}\n\n${table(columns, subjects)}\n`);
process.exit(0);
