/**
 * Secrets are changed while the cron routes go on: the web app as it triggers, the jobs API as it
 * judges, over HTTP, in every state that a rotation goes through, whichever of the two is deployed
 * first.
 */
import type { AddressInfo } from 'node:net';
import { realEffects } from '@revos/core/effects';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../apps/jobs-api/src/env.ts';
import { createTestApp } from '../apps/jobs-api/test/support/app.ts';
import { openTestDatabase, type TestDatabase } from '../apps/jobs-api/test/support/database.ts';
import { quickJob } from '../apps/jobs-api/test/support/jobs.ts';
import { answerCron } from '../apps/web/src/cron/answer-cron.ts';
import { readCronEnv } from '../apps/web/src/env.ts';
import { TELLS_NOBODY } from '../apps/web/test/tells-nobody.ts';

const OLD_TOKEN = 'cron-token-old-0123456789';
const NEW_TOKEN = 'cron-token-new-0123456789';
const OLD_SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const NEW_SECRET = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;

/** What the jobs API cannot do without. */
const CONFIG = {
  SUPABASE_URL: 'https://abcd.supabase.co',
  SUPABASE_SECRET_KEY: 'sb_secret_0123456789',
  UNIPILE_DSN: 'api1.unipile.com:13211',
  UNIPILE_API_KEY: 'unipile-key',
  JOB_SECRET: 'cron-token-0123456789',
  JOBS_SIGNING_SECRETS: OLD_SECRET,
};

let database: TestDatabase;

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());

interface Secrets {
  readonly tokens: readonly string[];
  readonly signing: readonly string[];
}

/** What Vercel gets when it calls the cron route of a web app with `web`, before a jobs API with `api`. */
async function triggered(web: Secrets, api: Secrets): Promise<number> {
  const credentials = { cronTokens: api.tokens, signingSecrets: api.signing };
  const { app } = await createTestApp({ rpc: database.rpc, jobs: [quickJob('dm-queue')], credentials });
  onTestFinished(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const environment = {
    CRON_SECRET: 'cron-secret-of-tests',
    JOBS_API_URL: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    JOB_SECRET: web.tokens.join(','),
    JOBS_SIGNING_SECRETS: web.signing.join(','),
  };
  const response = await answerCron(
    { job: 'dm-queue', authorization: 'Bearer cron-secret-of-tests' },
    {
      ...{ readEnv: () => readCronEnv(environment), effects: realEffects, fetch },
      ...{
        ...TELLS_NOBODY,
        onFailure: () => {},
        onFallback: () => expect.unreachable(),
        runDirectly: () => expect.unreachable(),
      },
    },
  );
  return response.status;
}

const of = (tokens: readonly string[], signing: readonly string[]): Secrets => ({ tokens, signing });

describe('a rotation has no gap', () => {
  const old = of([OLD_TOKEN], [OLD_SECRET]);
  const fresh = of([NEW_TOKEN], [NEW_SECRET]);
  const both = of([OLD_TOKEN, NEW_TOKEN], [OLD_SECRET, NEW_SECRET]);
  const bothNewFirst = of([NEW_TOKEN, OLD_TOKEN], [NEW_SECRET, OLD_SECRET]);

  it.each([
    { step: 'before it', web: old, api: old },
    { step: 'the jobs API knows both, the new ones behind', web: old, api: both },
    { step: 'the jobs API knows both, the new ones in front', web: old, api: bothNewFirst },
    { step: 'the web app knows both, and still uses the old ones', web: both, api: old },
    { step: 'both know both, in the same order', web: both, api: both },
    { step: 'the web app uses the new ones', web: fresh, api: both },
    { step: 'the web app uses the new ones, and keeps the old ones behind', web: bothNewFirst, api: both },
    { step: 'only the token is changed yet', web: of([NEW_TOKEN], [OLD_SECRET]), api: both },
    { step: 'only the signing secret is changed yet', web: of([OLD_TOKEN], [NEW_SECRET]), api: both },
    { step: 'the jobs API has forgotten the old ones', web: bothNewFirst, api: fresh },
    { step: 'after it', web: fresh, api: fresh },
  ])('$step', async ({ web, api }) => {
    expect([200, 202]).toContain(await triggered(web, api));
  });

  it.each([
    { step: 'a token that is forgotten', web: of([OLD_TOKEN], [NEW_SECRET]), api: fresh },
    { step: 'a signing secret that is forgotten', web: of([NEW_TOKEN], [OLD_SECRET]), api: fresh },
    { step: 'a token that is not known yet', web: of([NEW_TOKEN], [OLD_SECRET]), api: old },
    { step: 'a signing secret that is not known yet', web: of([OLD_TOKEN], [NEW_SECRET]), api: old },
  ])('$step is refused: that is what the order of steps is for', async ({ web, api }) => {
    expect(await triggered(web, api)).toBe(502);
  });
});

describe('a person’s token', () => {
  it('stands beside the new one under a second name, and both are accepted', async () => {
    const { opsTokens } = loadConfig({ ...CONFIG, OPS_TOKENS: `anna:${OLD_TOKEN},anna-2:${NEW_TOKEN}` });
    const { app } = await createTestApp({ rpc: database.rpc, jobs: [], credentials: { opsTokens } });
    onTestFinished(() => app.close());
    for (const token of [OLD_TOKEN, NEW_TOKEN]) {
      const headers = { authorization: `Bearer ${token}` };
      expect((await app.inject({ url: '/api/sending', headers })).statusCode).toBe(200);
    }
  });
});
