import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Sandbox, SandboxOptions } from '@revos/unipile-sandbox';
import { request } from 'undici';
import { onTestFinished } from 'vitest';
import { type SimulatedEffects, simulatedEffects } from '../../src/effects/index.ts';
import type { JobSettings, Run, RunParams } from '../../src/jobs/index.ts';
import { createMediaFetcher, type MediaFetcher } from '../../src/media/index.ts';
import { postScheduler } from '../../src/posts/index.ts';
import { type Rpc, withClock } from '../../src/rpc/index.ts';
import { type Intercept, intercepted, makeAccount, type TestDatabase } from '../support/database.ts';
import { createDriver, type Driver } from '../support/driving.ts';
import { DEFAULT_SETTINGS, type System, systemOf } from '../support/jobs.ts';
import { clientForTest, sandboxForTest } from '../support/sandbox.ts';

/** A Monday morning, a second after a slot. */
export const START = new Date('2026-03-02T10:00:01.000Z');

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
export const PNG = Buffer.from(PIXEL, 'base64');
export const PDF = Buffer.from('%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n');

/** A server of files: what each path answers with, until the test says otherwise. */
export interface FileServer {
  readonly origin: string;
  readonly files: Map<string, Buffer | number>;
  /** Paths that were asked for, in order. */
  readonly asked: readonly string[];
}

async function fileServerForTest(): Promise<FileServer> {
  const files = new Map<string, Buffer | number>();
  const asked: string[] = [];
  const server = createServer((incoming, outgoing) => {
    asked.push(incoming.url ?? '');
    const answer = files.get(incoming.url ?? '') ?? 404;
    if (typeof answer === 'number') outgoing.writeHead(answer).end();
    else outgoing.writeHead(200).end(answer);
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, files, asked };
}

export interface PublishingOptions {
  readonly settings?: Partial<JobSettings>;
  /** Where the process is ended at a given instant: so long after a run was taken up. */
  readonly endsInMs?: number;
  readonly sandbox?: SandboxOptions;
  readonly intercept?: Intercept;
  readonly apiKey?: string;
  /** For a call that makes a post, in milliseconds of real time. Default 30,000. */
  readonly postTimeoutMs?: number;
}

/** What RevOS has of a post, and what the scheduler has beside it. */
export interface PostRow {
  readonly status: string;
  readonly content: string;
  readonly published_at: Date | null;
  readonly unipile_post_id: string | null;
  readonly post_url: string | null;
  readonly state: string | null;
  readonly reason: string | null;
  readonly error: string | null;
  readonly social_id: string | null;
  readonly burned: number;
}

/** One process, a database, a world of LinkedIn and a server of files, in simulated time. */
export interface Publishing {
  readonly effects: SimulatedEffects;
  readonly driver: Driver;
  readonly sandbox: Sandbox;
  readonly system: System;
  /** Past the test's own interception. */
  readonly rpc: Rpc;
  readonly fileServer: FileServer;
  readonly accountId: string;
  /** A post of the account, due now. */
  schedule(post?: {
    readonly content?: string;
    readonly at?: Date;
    readonly options?: object;
  }): Promise<string>;
  /** One run of the scheduler, up to its end. */
  run(params?: RunParams): Promise<Run>;
  post(id: string): Promise<PostRow>;
  /** What LinkedIn's users saw, in order. */
  published(): readonly string[];
  /** The only post on LinkedIn, as Unipile shows it. */
  onLinkedIn(): Promise<Record<string, unknown>>;
}

export async function publishingOf(db: TestDatabase, options: PublishingOptions = {}): Promise<Publishing> {
  const effects = simulatedEffects(START);
  const driver = createDriver(effects);
  const sandbox = await sandboxForTest({
    now: effects.now,
    accounts: [{ id: 'ada', organizations: [{ id: '4242', name: 'Ada Inc' }] }],
    ...options.sandbox,
  });
  const fileServer = await fileServerForTest();
  const fetcher = createMediaFetcher({ allowedOrigins: [fileServer.origin], timeoutMs: 5_000 });
  onTestFinished(() => fetcher.close());
  const rpc = withClock(driver.rpc(db.rpc), effects.now);
  const apiKey = options.apiKey ?? sandbox.apiKey;
  const system = systemOf(
    [postScheduler],
    intercepted(rpc, options.intercept ?? ((_name, next) => next())),
    effects,
    {
      unipile: driver.unipile(
        clientForTest(sandbox, { apiKey, postTimeoutMs: options.postTimeoutMs ?? 30_000 }),
      ),
      media: watched(driver, fetcher),
      settings: { ...DEFAULT_SETTINGS, ...options.settings },
    },
    options.endsInMs,
  );
  const accountId = await makeAccount(db, 'ada');
  await db.query('update public.account_policies set post_gap_s = 0', []);

  const delivered = () => sandbox.world.effects().filter(({ kind }) => kind === 'post');
  return {
    effects,
    driver,
    sandbox,
    system,
    rpc,
    fileServer,
    accountId,
    async schedule({ content = 'Hello', at = effects.now(), options: patch } = {}) {
      const [row] = await db.query(
        `insert into public.posts (linkedin_account_id, content, status, scheduled_for)
         values ($1, $2, 'scheduled', $3) returning id`,
        [accountId, content, at.toISOString()],
      );
      const id = String(row?.id);
      if (patch !== undefined) await rpc.call('post_options_set', { post_id: id, patch });
      return id;
    },
    async run(params) {
      const { id } = await system.start(postScheduler, params);
      return driver.untilEnd(system.ended(id));
    },
    async post(id) {
      const [row] = await db.query(
        `select post.status, post.content, post.published_at, post.unipile_post_id, post.post_url, publication.state,
           publication.reason, publication.error, publication.social_id, publication.attempts as burned
         from public.posts as post
         left join public.post_publications as publication on publication.post_id = post.id
         where post.id = $1`,
        [id],
      );
      return row as unknown as PostRow;
    },
    published: () => delivered().map(({ text }) => text),
    async onLinkedIn() {
      const [only, ...more] = delivered();
      if (only === undefined || more.length > 0)
        throw new Error(`${delivered().length} posts are on LinkedIn`);
      const { body } = await request(`${sandbox.url}/api/v1/posts/${only.id}?account_id=ada`, {
        headers: { 'x-api-key': sandbox.apiKey },
      });
      return (await body.json()) as Record<string, unknown>;
    },
  };
}

/** Time does not pass while a file is being fetched, as with every other call. */
function watched(driver: Driver, fetcher: MediaFetcher): MediaFetcher {
  return {
    fetch: (url, signal) => driver.during(() => fetcher.fetch(url, signal)),
    close: () => fetcher.close(),
  };
}
