/** A run that claims a little ahead of its slots: how far, and that all is as if it did not. */
import { describe, expect, it } from 'vitest';
import { dmQueue } from '../../src/dm/index.ts';
import { type Campaign, campaignOf } from '../support/campaign.ts';
import { databaseForFile } from '../support/database.ts';
import { createGate, type Gate } from '../support/gate.ts';
import { clientForTest, requestsOf } from '../support/sandbox.ts';

const db = databaseForFile();

const SLOTS = 10;
/** A fifth of the slots. */
const AHEAD_MAX = 2;

interface AheadOptions {
  readonly accounts?: number;
  readonly messagesEach?: number;
  /** Told of each claim, from the first on, before it is made. */
  readonly duringClaim?: (claim: number, run: AheadRun) => Promise<void> | void;
}

interface AheadRun {
  readonly campaign: Campaign;
  /** What each claim was asked for, and what it gave. */
  readonly claims: { asked: number; texts: readonly string[] }[];
  /** The texts of the calls that were begun, in order. */
  readonly begun: string[];
  inFlight(): number;
  /** Lets so many of the calls under way end, the oldest first, and waits until they have. */
  end(count: number): Promise<void>;
  /** Lets every call end, now and later. */
  endAll(): void;
  /** From now on Unipile knows our key no more. */
  revokeKey(): void;
}

/** A run whose calls end when the test says so. */
async function aheadRunOf({ accounts = 40, messagesEach = 1, duringClaim }: AheadOptions): Promise<AheadRun> {
  const claims: AheadRun['claims'] = [];
  const begun: string[] = [];
  const held: { gate: Gate; ended: Gate }[] = [];
  let isOpen = false;
  let isRevoked = false;
  let inFlight = 0;
  const names = Array.from({ length: accounts }, (_, index) => `a${index}`);
  const campaign = await campaignOf(db, {
    messages: Object.fromEntries(names.map((name) => [name, messagesEach])),
    sendConcurrency: SLOTS,
    sandbox: { accounts: names.map((id) => ({ id })) },
    async intercept(name, next, args) {
      if (name !== 'dm_claim') return next();
      await duringClaim?.(claims.length + 1, run);
      const answer = (await next()) as { items: { message: string }[] };
      const { limit } = args as { limit: number };
      claims.push({ asked: limit, texts: answer.items.map(({ message }) => message) });
      return answer;
    },
  });
  const { unipile } = campaign.system.services;
  const { sendMessage } = unipile;
  const stranger = campaign.driver.unipile(clientForTest(campaign.sandbox, { apiKey: 'revoked' }));
  unipile.sendMessage = async (request) => {
    const own = { gate: createGate(), ended: createGate() };
    begun.push(request.text);
    inFlight += 1;
    if (isOpen) own.gate.open();
    held.push(own);
    await own.gate.passed;
    const answer = await (isRevoked ? stranger.sendMessage(request) : sendMessage(request));
    inFlight -= 1;
    own.ended.open();
    return answer;
  };
  const run: AheadRun = {
    campaign,
    claims,
    begun,
    inFlight: () => inFlight,
    async end(count) {
      const some = held.splice(0, count);
      for (const { gate } of some) gate.open();
      await Promise.all(some.map(({ ended }) => ended.passed));
    },
    endAll() {
      isOpen = true;
      for (const { gate } of held) gate.open();
    },
    revokeKey() {
      isRevoked = true;
    },
  };
  return run;
}

/** What the run logged of each claim. */
const claimLinesOf = ({ campaign }: AheadRun): Record<string, unknown>[] =>
  campaign.system.log.lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ msg }) => msg === 'claimed');

/**
 * Two calls end during the second claim, which is made for one free permit: from then on two rows
 * may wait.
 */
const twoEndDuringTheSecond = async (claim: number, run: AheadRun): Promise<void> => {
  if (claim === 2) await run.end(2);
};

async function untilTwoWait(run: AheadRun): Promise<string> {
  const { campaign } = run;
  const { id } = await campaign.system.start(dmQueue);
  await expect.poll(run.inFlight).toBe(SLOTS);
  await run.end(1);
  await expect.poll(() => campaign.system.engine.snapshot(id)?.stats).toMatchObject({ claimed_ahead: 2 });
  return id;
}

describe('a run with more to send than it has slots', () => {
  it('claims for what ends meanwhile, and never more than a fifth of its slots', async () => {
    const run = await aheadRunOf({ duringClaim: twoEndDuringTheSecond });
    const id = await untilTwoWait(run);
    expect(run.claims.map(({ asked, texts }) => [asked, texts.length])).toEqual([
      [SLOTS, SLOTS],
      [1, 1],
      [4, 4],
    ]);
    expect(run.inFlight()).toBe(SLOTS);
    const claimed = run.claims.flatMap(({ texts }) => texts);
    expect(claimed).toHaveLength(run.begun.length + AHEAD_MAX);
    // What waits goes out as calls end, in the order of its claim.
    await run.end(1);
    await expect.poll(() => run.begun.length).toBe(claimed.length - 1);
    expect(run.begun).toEqual(claimed.slice(0, -1));
    run.endAll();
    const ended = await run.campaign.driver.untilEnd(run.campaign.system.ended(id));
    expect(ended).toMatchObject({ status: 'succeeded', stats: { eligible: 40, sent: 40, released: 0 } });
    expect(ended.stats).not.toHaveProperty('claimed_ahead');
    expect(new Set(run.campaign.delivered()).size).toBe(40);
    expect(claimLinesOf(run)).toContainEqual(
      expect.objectContaining({ asked: 4, claimed: 4, claimed_ahead: 2 }),
    );
  });

  it.each([
    { name: 'cancelled', status: 'cancelled' },
    { name: 'shut down', status: 'interrupted' },
  ])('gives back what waits when it is $name, and finishes what is in flight', async ({ status }) => {
    const run = await aheadRunOf({ duringClaim: twoEndDuringTheSecond });
    const id = await untilTwoWait(run);
    const { system, driver } = run.campaign;
    if (status === 'cancelled') await system.runs.cancel(id, 'ada');
    else void system.engine.close(60_000);
    run.endAll();
    const ended = await driver.untilEnd(system.ended(id));
    expect(ended).toMatchObject({ status, stats: { eligible: 15, sent: 13, released: 2 } });
    expect(run.begun).toHaveLength(13);
    expect((await requestsOf(run.campaign.sandbox)).requests).toHaveLength(13);
    const attempts = await run.campaign.attempts();
    expect(attempts.filter(({ outcome }) => outcome === 'not_sent')).toHaveLength(2);
    expect((await run.campaign.messages()).filter(({ status }) => status === 'pending')).toHaveLength(27);
  });

  it('gives back what waits when the key is refused: no further call is made', async () => {
    const run = await aheadRunOf({ duringClaim: twoEndDuringTheSecond });
    const id = await untilTwoWait(run);
    const { system, driver } = run.campaign;
    run.revokeKey();
    run.endAll();
    const ended = await driver.untilEnd(system.ended(id));
    expect(ended).toMatchObject({ status: 'failed', error: expect.stringContaining('refuses our API key') });
    expect(run.begun).toHaveLength(13);
    expect((await run.campaign.messages()).filter(({ status }) => status === 'sent')).toHaveLength(3);
    expect((await run.campaign.messages()).filter(({ status }) => status === 'pending')).toHaveLength(37);
  });

  it('gives back what has waited for too long, though no call ends', async () => {
    const run = await aheadRunOf({ duringClaim: twoEndDuringTheSecond });
    const id = await untilTwoWait(run);
    const { driver, system } = run.campaign;
    const waiting = run.claims.flatMap(({ texts }) => texts).slice(-AHEAD_MAX);
    await driver.pass(29_000);
    expect(system.engine.snapshot(id)?.stats).toMatchObject({ released: 0, claimed_ahead: 2 });
    await driver.pass(10_000);
    expect(system.engine.snapshot(id)?.stats).toMatchObject({ released: 2 });
    for (const text of waiting) expect(run.begun).not.toContain(text);
    run.endAll();
    expect(await driver.untilEnd(system.ended(id))).toMatchObject({
      status: 'succeeded',
      stats: { sent: 40, unknown: 0 },
    });
    expect(new Set(run.campaign.delivered()).size).toBe(40);
  });
});

it('of the calls that a run may make, those that wait are some', async () => {
  const run = await aheadRunOf({ duringClaim: twoEndDuringTheSecond });
  const { campaign } = run;
  const { id } = await campaign.system.start(dmQueue, { limit: 14 });
  await expect.poll(run.inFlight).toBe(SLOTS);
  await run.end(1);
  // Eleven were claimed, of which eight are under way: two slots are free, and three calls left.
  await expect.poll(() => run.claims.at(-1)?.asked).toBe(3);
  await expect.poll(() => campaign.system.engine.snapshot(id)?.stats).toMatchObject({ claimed_ahead: 1 });
  run.endAll();
  expect(await campaign.driver.untilEnd(campaign.system.ended(id))).toMatchObject({
    status: 'succeeded',
    stats: { eligible: 14, sent: 14, released: 0 },
  });
});

describe('where it is useless, nothing is claimed ahead', () => {
  it('with fewer accounts than slots', async () => {
    const run = await aheadRunOf({ accounts: 8, messagesEach: 3 });
    run.endAll();
    const ended = await run.campaign.run();
    expect(ended).toMatchObject({ stats: { sent: 24, released: 0 } });
    // Each claim but the first gives less than there are slots for, and nothing ever waits.
    for (const { asked } of run.claims) expect(asked).toBeLessThanOrEqual(SLOTS);
    expect(claimLinesOf(run).map(({ claimed_ahead }) => claimed_ahead)).toEqual(run.claims.map(() => 0));
  });

  it('while calls take so long that none ends during a claim', async () => {
    const run = await aheadRunOf({});
    const { campaign } = run;
    const { id } = await campaign.system.start(dmQueue);
    await expect.poll(run.inFlight).toBe(SLOTS);
    for (let more = 1; more <= 3; more += 1) {
      await run.end(1);
      await expect.poll(() => run.begun.length).toBe(SLOTS + more);
    }
    expect(campaign.system.engine.snapshot(id)?.stats).toMatchObject({ claimed_ahead: 0 });
    run.endAll();
    expect(await campaign.driver.untilEnd(campaign.system.ended(id))).toMatchObject({ stats: { sent: 40 } });
  });
});
