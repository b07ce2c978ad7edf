/**
 * The main job through every link of the chain, as it is deployed: Vercel's request, the built web
 * app, the jobs API as a process, Supabase's REST API, Unipile's wire format.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isEnded, type Run } from '@revos/core/jobs';
import { checkExample } from '@revos/local-stack/demo/check';
import { type Stack, startStack } from '@revos/local-stack/demo/stack';
import { followRun, type Triggered, triggerCron } from '@revos/local-stack/demo/trigger';
import { loadWorld } from '@revos/local-stack/demo/world';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let dataDir: string;
let stack: Stack;

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'revos-acceptance-'));
  stack = await startStack({ dataDir, onStep: () => {} });
  await loadWorld(stack);
});

afterAll(async () => {
  await stack.close();
  await rm(dataDir, { recursive: true, force: true });
});

const messages = () => stack.sandbox.world.effects({ kind: 'message' });

async function counts(): Promise<Readonly<Record<string, number>>> {
  return stack.rpc.call('dm_counts');
}

describe('the main job', () => {
  // What was lost is looked for after 15 s, and a gap may put the last one off to a run of its own.
  it('goes from Vercel’s cron to LinkedIn, once per message, and a slot makes one run', {
    timeout: 180_000,
  }, async () => {
    const triggers = await Promise.all(Array.from({ length: 10 }, () => triggerCron(stack, 'dm-queue')));
    const ids = new Set(triggers.map(({ run }) => run.id));
    expect(ids.size).toBe(1);
    expect(triggers.filter(({ outcome }) => outcome === 'created')).toHaveLength(1);

    const seen: Run[] = [];
    let run = await followRun(stack, triggers[0]?.run.id ?? '', (shown) => seen.push(shown));
    expect(seen.length).toBeGreaterThan(5);
    // The slot may have ended within the run; the next one goes on with what is left.
    for (let more = 0; more < 3 && (run.stats.skipped?.ready ?? run.stats.skipped?.gap ?? 0) > 0; more += 1) {
      run = await followRun(stack, (await triggerCron(stack, 'dm-queue')).run.id, () => {});
    }
    expect(run.status).toBe('succeeded');
    // The answer of one was lost: it was found on LinkedIn, and is not sent again.
    expect(await counts()).toEqual({ sent: 55, failed: 2, pending: 3 });
    expect(messages()).toHaveLength(55);
    expect(new Set(messages().map(({ recipient_id }) => recipient_id)).size).toBe(55);
    expect(run.stats).toMatchObject({ skipped: { day_limit: 3 } });
    const posts = await triggerCron(stack, 'post-scheduler');
    expect(await followRun(stack, posts.run.id, () => {})).toMatchObject({
      status: 'succeeded',
      stats: { sent: 2, unknown: 1, confirmed: 1 },
    });
    await expect(checkExample(stack)).resolves.toBeUndefined();
  });

  it('one account sends one message at a time, apart by its gap', () => {
    for (const { max } of stack.sandbox.world.concurrency()) expect(max).toBe(1);
    const byAccount = Map.groupBy(messages(), ({ account_id }) => account_id);
    expect(byAccount.size).toBe(4);
    for (const effects of byAccount.values()) {
      const instants = effects.map(({ at }) => Date.parse(at)).sort((a, b) => a - b);
      const gaps = instants.slice(1).map((at, index) => at - (instants[index] ?? 0));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1_000);
    }
  });

  it('a message that RevOS inserts by itself goes out with the next run, asked for by hand', async () => {
    const { data: account } = await stack.client
      .from('linkedin_accounts')
      .select('id')
      .eq('account_name', 'Ada Moreau')
      .single();
    const inserted = await stack.client
      .from('dm_queue')
      .insert({ linkedin_account_id: account?.id, recipient_id: 'ACoAABbyHandByHand', message: 'Hello Ada' })
      .select('id, status')
      .single();
    expect(inserted.error).toBeNull();

    const response = await fetch(`${stack.jobsApi.url}/api/jobs/dm-queue`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.opsToken}`, prefer: 'wait=60' },
    });
    expect(response.status).toBe(202);
    const { run } = (await response.json()) as Triggered;
    expect(run).toMatchObject({
      status: 'succeeded',
      scheduled_for: null,
      trigger: 'ops',
      requested_by: 'local',
    });
    expect(messages().filter(({ recipient_id }) => recipient_id === 'ACoAABbyHandByHand')).toHaveLength(1);
  });

  it('an account that LinkedIn signed out is paused, and the example says so', async () => {
    const { data: account } = await stack.client
      .from('linkedin_accounts')
      .insert({
        account_name: 'Zoe Stopped',
        unipile_account_id: stack.sandbox.world.declareAccount({ status: 'CREDENTIALS' }).id,
      })
      .select('id')
      .single();
    const policy = { window_start: '00:00', window_end: '24:00', work_days: [1, 2, 3, 4, 5, 6, 7] };
    await stack.rpc.call('account_policy_set', { account_id: account?.id, patch: policy });
    await stack.client
      .from('dm_queue')
      .insert({ linkedin_account_id: account?.id, recipient_id: 'ACoAABstopped', message: 'Hello' });
    await fetch(`${stack.jobsApi.url}/api/jobs/dm-queue`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.opsToken}`, prefer: 'wait=60' },
    });
    await expect(checkExample(stack)).rejects.toThrow(
      'A message of Zoe Stopped is pending: the account is paused (account_disconnected)',
    );
  });

  it('a bad row is refused with its field, and nothing is queued', async () => {
    const { error } = await stack.client
      .from('dm_queue')
      .insert({ linkedin_account_id: crypto.randomUUID(), recipient_id: 'ACoAAB1', message: 'Hi Ann' });
    expect(error).toMatchObject({ code: 'DM001' });
    expect(JSON.parse(error?.details ?? '{}')).toEqual({ field: 'linkedin_account_id' });
  });

  it('no message text and no secret stands in any log', async () => {
    const logs = await Promise.all(
      ['jobs-api.log', 'web.log'].map((name) => readFile(path.join(dataDir, 'logs', name), 'utf8')),
    );
    const text = logs.join('\n');
    expect(text).toContain('dm-queue');
    for (const effect of messages()) expect(text).not.toContain(effect.text.slice(0, 40));
    for (const secret of [stack.cronSecret, stack.opsToken, stack.supabase.secretKey, stack.sandbox.apiKey]) {
      expect(text).not.toContain(secret);
    }
  });

  it('SIGTERM in mid-run: what is in flight is finished, the rest is pending, the run is marked, exit 0', async () => {
    const accounts = await stack.client.from('linkedin_accounts').select('id');
    const rows = (accounts.data ?? []).flatMap(({ id }, account) =>
      Array.from({ length: 10 }, (_, row) => ({
        linkedin_account_id: id,
        recipient_id: `ACoAABdeploy${account}x${row}`,
        message: `Deploy ${account} ${row}`,
      })),
    );
    expect((await stack.client.from('dm_queue').insert(rows)).error).toBeNull();

    const started = await fetch(`${stack.jobsApi.url}/api/jobs/dm-queue`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.opsToken}` },
    });
    const { run } = (await started.json()) as Triggered;
    const before = messages().length;
    let stopping: Promise<number | null> | undefined;
    const beganAt = performance.now();
    // The events end with the process, before or after the run's own end.
    await followRun(stack, run.id, (shown) => {
      if (!stopping && (shown.stats.sent ?? 0) >= 4) stopping = stack.jobsApi.stop();
    }).catch((error: unknown) => expect(String(error)).toMatch(/broke off|terminated/));
    expect(await stopping).toBe(0);
    expect(performance.now() - beganAt).toBeLessThan(25_000);

    const after = await stack.rpc.call<Run>('run_get', { id: run.id });
    expect(isEnded(after)).toBe(true);
    expect(after.status).toBe('interrupted');
    const { sending = 0, pending = 0 } = await counts();
    expect(sending).toBe(0);
    expect(pending).toBeGreaterThan(10);
    expect(messages().length - before).toBe(after.stats.sent);
  });
});
