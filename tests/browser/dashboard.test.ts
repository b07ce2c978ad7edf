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
