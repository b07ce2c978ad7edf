/** Runs in a process that is ended at a given instant: what would not end by then is not begun. */
import { beforeAll, describe, expect, it } from 'vitest';
import { dmQueue } from '../../src/dm/index.ts';
import { postScheduler } from '../../src/posts/index.ts';
import { publishingOf, START } from '../posts/publishing.ts';
import { type Campaign, campaignOf } from '../support/campaign.ts';
import { databaseForFile } from '../support/database.ts';

const db = databaseForFile();

// Loading a module takes real time, in which the simulated one passes.
beforeAll(async () => {
  await Promise.all([dmQueue.loadHandler(), postScheduler.loadHandler()]);
});

const passedMs = ({ effects }: Pick<Campaign, 'effects'>): number =>
  effects.now().getTime() - START.getTime();

describe('a message', () => {
  it.each([
    { leftMs: 75_001, sent: 2 },
    { leftMs: 75_000, sent: 0 },
  ])('is claimed with more than 75 s left: with $leftMs ms $sent are sent', async ({ leftMs, sent }) => {
    const campaign = await campaignOf(db, { messages: { ada: 1, ben: 1 }, endsInMs: leftMs });
    expect(await campaign.run()).toMatchObject({ status: 'succeeded', stats: { sent, due: 2 } });
    expect(campaign.delivered()).toHaveLength(sent);
    expect(await campaign.attempts()).toHaveLength(sent);
  });

  it.each([
    { claimMs: 11_000, sent: 1 },
    { claimMs: 11_001, sent: 0 },
  ])('is given back if its call would not end in time: a claim of $claimMs ms', async ({ claimMs, sent }) => {
    const campaign: Campaign = await campaignOf(db, {
      messages: { ada: 1 },
      endsInMs: 76_000,
      async intercept(name, next) {
        const answer = await next();
        if (name === 'dm_claim') await campaign.effects.sleep(claimMs);
        return answer;
      },
    });
    expect(await campaign.run()).toMatchObject({
      status: 'succeeded',
      stats: { eligible: 1, sent, released: 1 - sent },
    });
    expect((await campaign.messages()).map(({ status }) => status)).toEqual([
      sent === 1 ? 'sent' : 'pending',
    ]);
  });

  it('that is to wait for a gap is left to the next slot, if the gap ends too late', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 2 },
      policy: { gap_min_s: 60, gap_max_s: 60 },
      endsInMs: 120_000,
    });
    expect(await campaign.run()).toMatchObject({
      status: 'succeeded',
      stats: { sent: 1, skipped: { gap: 1 } },
    });
    expect(passedMs(campaign)).toBeLessThan(10_000);
  });

  it('that can go in time is waited for', async () => {
    const campaign = await campaignOf(db, {
      messages: { ada: 2 },
      policy: { gap_min_s: 60, gap_max_s: 60 },
      endsInMs: 180_000,
    });
    expect(await campaign.run()).toMatchObject({ status: 'succeeded', stats: { sent: 2 } });
  });
});

describe('a post', () => {
  it.each([
    { leftMs: 150_001, sent: 1 },
    { leftMs: 150_000, sent: 0 },
  ])('is claimed with more than 150 s left: with $leftMs ms $sent is sent', async ({ leftMs, sent }) => {
    const publishing = await publishingOf(db, { endsInMs: leftMs });
    await publishing.schedule();
    expect(await publishing.run()).toMatchObject({ status: 'succeeded', stats: { sent, due: 1 } });
    expect(publishing.published()).toHaveLength(sent);
  });
});
