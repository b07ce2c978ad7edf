/** The dashboard as a person sees it: in Chromium, over the whole system, while a run is under way. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Stack, startStack } from '@revos/local-stack/demo/stack';
import { followRun, triggerCron } from '@revos/local-stack/demo/trigger';
import { loadWorld } from '@revos/local-stack/demo/world';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  existsSync,
);

let dataDir: string;
let stack: Stack;
let browser: Browser;

beforeAll(async () => {
  if (CHROMIUM === undefined) throw new Error('No Chromium on this machine: apt-get install chromium');
  dataDir = await mkdtemp(path.join(tmpdir(), 'revos-browser-'));
  stack = await startStack({ dataDir, onStep: () => {} });
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
    ],
  });
});

afterAll(async () => {
  await browser?.close();
  await stack?.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** A page of its own, and what went wrong in it: console errors, exceptions, requests to elsewhere. */
async function open(options: BrowserContextOptions = {}): Promise<{ page: Page; wrong: string[] }> {
  const context = await browser.newContext({
    httpCredentials: { username: 'ops', password: stack.opsToken },
    ...options,
  });
  const page = await context.newPage();
  const wrong: string[] = [];
  page.on('console', (message) => message.type() === 'error' && wrong.push(message.text()));
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(stack.web.url)) wrong.push(`asks elsewhere: ${request.url()}`);
  });
  return { page, wrong };
}

describe('the dashboard', () => {
  it('before the first run says when the next slot is', async () => {
    const { page, wrong } = await open();
    await page.goto(stack.web.url);
    await page.getByText('No run yet').first().waitFor();
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
    expect(wrong).toEqual([]);
  });

  it('says of each state what the API says of it, and nothing else', async () => {
    const { page, wrong } = await open();
    const changed = async (write: PromiseLike<{ error: unknown }>): Promise<void> => {
      expect((await write).error).toBeNull();
    };
    /** What both say; it must be the same. */
    const verdict = async (): Promise<string> => {
      const headers = { authorization: `Bearer ${stack.opsToken}` };
      const asked = await fetch(`${stack.jobsApi.url}/api/verdict`, { headers });
      const { state, sentence } = (await asked.json()) as { state: string; sentence: string };
      await page.goto(stack.web.url);
      await page.getByRole('heading', { name: 'Jobs', exact: true }).waitFor({ timeout: 90_000 });
      expect(await page.getByRole('status').allTextContents()).toEqual([sentence]);
      expect(await page.getByText('All is well.', { exact: true }).count()).toBe(state === 'well' ? 1 : 0);
      return `${state}: ${sentence}`;
    };
    const hoursAgo = (count: number): string => new Date(Date.now() - count * 3_600_000).toISOString();
    const post = (content: string, hours: number) =>
      stack.client.from('posts').insert({
        ...{ linkedin_account_id: account, content, status: 'scheduled', scheduled_for: hoursAgo(hours) },
      });
    const at = hoursAgo(0);
    const account = crypto.randomUUID();

    expect(await verdict()).toMatch(/^unknown: No run yet/);
    const runs = ['dm-queue', 'post-scheduler', 'reconcile', 'analytics'].map((job) => ({
      ...{ job, trigger: 'ops', status: 'succeeded', requested_by: 'test' },
      ...{ requested_at: at, started_at: at, heartbeat_at: at, finished_at: at, horizon_at: at },
    }));
    await changed(stack.client.from('job_runs').insert(runs));
    expect(await verdict()).toBe('well: All is well.');
    await changed(
      stack.client
        .from('linkedin_accounts')
        .insert({ id: account, account_name: 'Of the verdict', unipile_account_id: 'verdict' }),
    );
    await changed(post('late', 0.5));
    expect(await verdict()).toBe('late: 1 post is late.');
    await changed(post('missed', 7));
    expect(await verdict()).toBe('needs_a_person: 1 post was missed.');
    await stack.rpc.call('sending_pause_set', { reason: 'wrong campaign', actor: 'anna' });
    expect(await verdict()).toBe('stopped: All sending is paused.');
    expect(await page.getByText('Paused by anna: wrong campaign.').count()).toBe(1);
    expect(await page.getByText('ops resume --all').count()).toBe(1);

    await stack.rpc.call('sending_resume', { actor: 'anna' });
    await changed(stack.client.from('posts').delete().eq('linkedin_account_id', account));
    await changed(stack.client.from('linkedin_accounts').delete().eq('id', account));
    expect(await verdict()).toBe('well: All is well.');
    await changed(stack.client.from('job_runs').delete().eq('requested_by', 'test'));
    expect(wrong).toEqual([]);
  });

  it('shows a run under way, and its end, without being reloaded', async () => {
    const { page, wrong } = await open();
    await loadWorld(stack);
    const { run } = await triggerCron(stack, 'dm-queue');
    // Opened while it runs: an idle page looks only every 30 seconds, which is as long as the run.
    await page.goto(stack.web.url);
    await page.getByText('Running').first().waitFor({ timeout: 45_000 });
    await followRun(stack, run.id, () => {});
    await page.getByText('Succeeded').first().waitFor({ timeout: 45_000 });
    await page.getByText('the account’s limit for the day is used up').first().waitFor();

    await page.locator(`a[href="/runs/${run.id}"]`).first().click();
    await page.waitForURL(`**/runs/${run.id}`);
    await page.getByText(run.id).first().waitFor();
    expect(wrong).toEqual([]);
  });

  it.each([360, 768, 1280])('never scrolls sideways, %i pixels wide, light and dark', async (width) => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, wrong } = await open({ viewport: { width, height: 800 }, colorScheme });
      await page.goto(stack.web.url);
      await page.getByText('Succeeded').first().waitFor();
      const overflow = await page.evaluate(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      );
      expect(overflow).toBe(0);
      expect(wrong).toEqual([]);
    }
  });

  it('shows nothing to who has no token', async () => {
    const context = await browser.newContext();
    const response = await context.request.get(stack.web.url);
    expect(response.status()).toBe(401);
    expect(await response.text()).not.toContain('dm-queue');
  });
});
