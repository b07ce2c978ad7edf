/**
 * What a scrape of the metrics costs, over a queue of 10,000 messages, and what they cost the start
 * of the jobs API.
 */
import { startPostgres, withClient } from '@revos/local-stack';
import { endProcess, openSite, startTimed, titleOf, WAYS } from './jobs-api.ts';
import { createTemplates, fillQueue } from './queues.ts';
import { describeMachine, median, table } from './report.ts';

const MESSAGES = 10_000;
const SCRAPES = 8;
const STARTS = 5;

const TOKEN = 'scraper-token-0123456789';

interface Row {
  readonly title: string;
  readonly startMs: number;
  readonly measuredStartMs: number;
  readonly asks: number[];
  readonly again: number[];
  readonly queryMs: number[];
  readonly kilobytes: number;
}

const server = await startPostgres();
try {
  await createTemplates(server);
  const rows: Row[] = [];
  for (const way of WAYS) {
    const site = await openSite(server, way, 'http://127.0.0.1:9');
    await withClient(site.databaseUrl, (client) => fillQueue(client, MESSAGES));
    const measured = { ...site.environment, METRICS_TOKEN: TOKEN };
    const starts: { plain: number[]; measured: number[] } = { plain: [], measured: [] };
    for (let start = 0; start < STARTS; start += 1) {
      for (const [kind, environment] of [
        ['plain', site.environment],
        ['measured', measured],
      ] as const) {
        const api = await startTimed(environment);
        starts[kind].push(api.readyMs);
        await endProcess(api);
      }
    }
    const api = await startTimed(measured);
    const scrape = async (): Promise<{ ms: number; bytes: number }> => {
      const beganMs = performance.now();
      const response = await fetch(`http://127.0.0.1:${api.port}/metrics`, {
        headers: { authorization: `Bearer ${TOKEN}` },
      });
      const text = await response.text();
      if (!text.includes('revos_database_up 1')) throw new Error('the database did not answer');
      return { ms: performance.now() - beganMs, bytes: text.length };
    };
    const [asks, again, queryMs]: [number[], number[], number[]] = [[], [], []];
    let bytes = 0;
    for (let count = 0; count < SCRAPES; count += 1) {
      // Past the time for which an answer is told again.
      if (count > 0) await new Promise((resolve) => setTimeout(resolve, 5_050));
      const first = await scrape();
      asks.push(first.ms);
      again.push((await scrape()).ms);
      bytes = first.bytes;
    }
    await withClient(site.databaseUrl, async (client) => {
      for (let count = 0; count < SCRAPES; count += 1) {
        const beganMs = performance.now();
        await client.query(`select public.system_metrics('{dm-queue,post-scheduler,reconcile,analytics}')`);
        queryMs.push(performance.now() - beganMs);
      }
    });
    rows.push({
      title: titleOf(way),
      startMs: median(starts.plain),
      measuredStartMs: median(starts.measured),
      ...{ asks, again, queryMs, kilobytes: bytes / 1_024 },
    });
    await endProcess(api);
    await site.close();
  }
  const columns = [
    { head: 'The jobs API over', cell: ({ title }: Row) => title },
    { head: 'ready after, ms', cell: ({ startMs }: Row) => startMs.toFixed(0) },
    { head: 'with metrics, ms', cell: ({ measuredStartMs }: Row) => measuredStartMs.toFixed(0) },
    { head: 'a scrape, ms', cell: ({ asks }: Row) => median(asks).toFixed(1) },
    { head: 'another within 5 s, ms', cell: ({ again }: Row) => median(again).toFixed(1) },
    { head: 'of that SQL, ms', cell: ({ queryMs }: Row) => median(queryMs).toFixed(1) },
    { head: 'kB', cell: ({ kilobytes }: Row) => kilobytes.toFixed(0) },
  ];
  process.stdout.write(`${describeMachine()}\n\n${table(columns, rows)}\n`);
} finally {
  await server.stop();
}
