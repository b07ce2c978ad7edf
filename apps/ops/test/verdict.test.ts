/** Each state of the verdict, caused in the system: the API and the command line say the same sentence. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runOps } from './support/ops.ts';
import {
  attempt,
  makeAccount,
  makePost,
  OPS_TOKEN,
  queue,
  type System,
  startSystem,
} from './support/system.ts';

let system: System;

beforeAll(async () => {
  system = await startSystem();
});
afterAll(() => system.close());

interface Said {
  readonly state: string;
  readonly sentence: string;
  readonly also: readonly { readonly sentence: string }[];
}

async function asked(): Promise<Said> {
  const headers = { authorization: `Bearer ${OPS_TOKEN}` };
  const response = await fetch(`${system.url}/api/verdict`, { headers });
  expect(response.status).toBe(200);
  return (await response.json()) as Said;
}

/** What both say; it must be the same. */
async function verdict(): Promise<string> {
  const { state, sentence, also } = await asked();
  const env = { JOBS_API_URL: system.url, OPS_TOKEN };
  const told = await runOps(['status'], { env });
  expect(told.stdout).toContain(`${sentence}\n`);
  for (const { sentence: more } of also) expect(told.stdout).toContain(`Also: ${more}\n`);
  expect(told.code).toBe(state === 'well' ? 0 : 1);
  const { stdout } = await runOps(['status', '--json'], { env });
  expect(JSON.parse(stdout)).toMatchObject({ ok: state === 'well', verdict: { state, sentence } });
  return `${state}: ${sentence}`;
}

const sql = (text: string, values: readonly unknown[] = []) => system.query(text, values);
const WELL = 'well: All is well.';

describe('the verdict', () => {
  it('before any run is that nothing is known', async () => {
    expect(await verdict()).toBe('unknown: No run yet. Whether all is well is not known.');
  });

  it('is that all is well once every job had its run', async () => {
    for (const job of ['dm-queue', 'post-scheduler', 'reconcile', 'analytics', 'failing', 'gated']) {
      await sql(
        `insert into public.job_runs (job, trigger, status, requested_at, started_at, heartbeat_at, finished_at, horizon_at, requested_by)
         values ($1, 'ops', 'succeeded', now(), now(), now(), now(), now(), 'test')`,
        [job],
      );
    }
    expect(await verdict()).toBe(WELL);
  });

  it('is that nothing goes out while all sending is paused', async () => {
    await system.rpc.call('sending_pause_set', { reason: 'wrong campaign', actor: 'anna' });
    expect(await verdict()).toBe('stopped: All sending is paused.');
    await system.rpc.call('sending_resume', { actor: 'anna' });
    expect(await verdict()).toBe(WELL);
  });

  it('is that an account waits for a person, while something waits for it', async () => {
    const account = await makeAccount(system, 'Ada');
    await system.rpc.call('account_pause', {
      account_id: account,
      reason: 'account_restricted',
      actor: 'anna',
    });
    expect(await verdict()).toBe(WELL);
    await queue(system, account, 'Ada', 1);
    expect(await verdict()).toBe('needs_a_person: 1 account waits for a person, with messages to send.');
    await sql(`update public.dm_queue set status = 'cancelled' where linkedin_account_id = $1`, [account]);
    expect(await verdict()).toBe(WELL);
  });

  it('is that a person must say what became of a message, until somebody does', async () => {
    const account = await makeAccount(system, 'Bob');
    await queue(system, account, 'Bob', 1);
    const id = await attempt(system, account, { outcome: 'unknown', reason: 'answer_lost' });
    expect(await verdict()).toBe(WELL);
    await sql(`update public.dm_queue set reason = 'unknown_held' where id = $1`, [id]);
    expect(await verdict()).toBe(
      'needs_a_person: 1 message may be on LinkedIn or not, and a person must say so.',
    );
    await sql(`update public.dm_queue set reason = null, status = 'sent' where id = $1`, [id]);
    expect(await verdict()).toBe(WELL);
  });

  it('is that posts were missed, or are held', async () => {
    const account = await makeAccount(system, 'Cleo');
    const hours = (count: number) => new Date(Date.now() + count * 3_600_000).toISOString();
    const missed = await makePost(system, account, hours(-7));
    const held = await makePost(system, account, hours(2), ' ');
    expect(await verdict()).toBe('needs_a_person: 1 post was missed.');
    expect((await asked()).also.map(({ sentence }) => sentence)).toEqual(['1 post is held.']);
    await sql(`update public.posts set status = 'draft' where id = any ($1)`, [[missed, held]]);
    expect(await verdict()).toBe(WELL);
  });

  it('is that a post or a message is late', async () => {
    const account = await makeAccount(system, 'Dan');
    // What was held back by a pause of all sending is late only from its end on.
    await sql('delete from public.sending_pause where true');
    const post = await makePost(system, account, new Date(Date.now() - 30 * 60_000).toISOString());
    expect(await verdict()).toBe('late: 1 post is late.');
    await sql(`update public.posts set status = 'draft' where id = $1`, [post]);
    const [id = ''] = await queue(system, account, 'Dan', 1);
    await sql(`update public.dm_queue set created_at = now() - interval '16 minutes' where id = $1`, [id]);
    await sql(
      `update public.account_policies set next_claim_at = now() - interval '16 minutes' where account_id = $1`,
      [account],
    );
    expect(await verdict()).toBe('late: Messages of 1 account are late.');
    await attempt(system, account, { outcome: 'sent', unipile_message_id: 'm1' });
    expect(await verdict()).toBe(WELL);
  });

  it('is that a run failed, or that no run came', async () => {
    await sql(`update public.job_runs set status = 'failed', error = 'no key' where job = 'dm-queue'`);
    expect(await verdict()).toBe('needs_a_person: The last run of dm-queue failed.');
    await sql(
      `update public.job_runs set status = 'succeeded', error = null, requested_at = now() - interval '2 hours',
         finished_at = now() - interval '2 hours' where job = 'dm-queue'`,
    );
    expect(await verdict()).toBe('late: A slot of dm-queue was missed.');
    await sql(
      `update public.job_runs set status = 'running', heartbeat_at = now() - interval '3 minutes' where job = 'dm-queue'`,
    );
    expect(await verdict()).toBe('late: A run of dm-queue gave no sign of life.');
  });
});
