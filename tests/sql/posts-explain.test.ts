/**
 * The explanation, the backlog and the claim of posts agree: for random posts, accounts and
 * moments. A failure prints its seed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { after, at, HOUR_MS, MINUTE_MS, queue } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import {
  claimAnswer,
  insertPost,
  postingAccount,
  postsOf,
  recordPost,
  SENT,
  UNKNOWN,
} from '../support/posts.ts';
import { createRandom, type Random } from '../support/random.ts';
import { seed } from '../support/trials.ts';

const NOW = at('2026-03-02T10:00:00Z');
let session: Session;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());

/** A few accounts, each with something that may stand in the way, and a few posts of theirs. */
async function makeWorld(random: Random): Promise<void> {
  session.clock.now = NOW;
  await session.reset();
  if (random.integer(0, 9) === 0) {
    const until = after(NOW, random.integer(1, 600) * MINUTE_MS);
    await session.rpc.call('sending_pause_set', { reason: 'test', until });
  }
  for (let n = 1; n <= 3; n += 1) {
    const account = await postingAccount(session, n, random.pick([0, 600, 3_600]));
    if (random.integer(0, 4) === 0) {
      const until = after(NOW, random.integer(-10, 600) * MINUTE_MS);
      await session.rpc.call('account_pause', { account_id: account, reason: 'test', until });
    }
    if (random.integer(0, 5) === 0)
      await session.query(`update linkedin_accounts set status = 'expired' where id = $1`, [account]);
    if (random.integer(0, 3) === 0) await queue(session, account);
    for (let count = random.integer(0, 4); count > 0; count -= 1) {
      await insertPost(session, {
        linkedin_account_id: account,
        content: random.pick(['Hello', 'Hello', 'Hello', '{{name}}']),
        scheduled_for: after(NOW, random.integer(-420, 90) * MINUTE_MS),
      });
    }
  }
  if (random.integer(0, 1) === 0) {
    const { items } = await session.dm.claim({
      claimId: crypto.randomUUID(),
      worker: 'w',
      limit: 5,
      leaseMs: 120_000,
      draw: 0,
      accountIds: null,
    });
    for (const { attempt_id } of items) {
      if (random.chance(0.5)) await session.dm.record([{ attempt_id, outcome: 'unknown' }]);
    }
  }
}

describe('what is told of a post', () => {
  it('is what the claim does: those it calls ready go, and no other, and none before its time', async () => {
    const random = createRandom(seed);
    let [claims, waits] = [0, 0];
    for (let world = 0; world < 50; world += 1) {
      await makeWorld(random);
      for (let step = 0; step < 4; step += 1) {
        const where = `SEED=${seed}, world ${world}, step ${step}`;
        const ids = (await session.query(`select id from posts where status = 'scheduled'`, [])).map((row) =>
          String(row.id),
        );
        const told = new Map<string, Awaited<ReturnType<ReturnType<typeof postsOf>['explain']>>>();
        for (const id of ids) told.set(id, await postsOf(session).explain(id));
        const preview = await postsOf(session).preview(null);
        const { items, next_claim_at } = await claimAnswer(session);

        const claimed = items.map((item) => item.post_id).sort();
        const ready = ids.filter((id) => told.get(id)?.reason === 'ready').sort();
        expect([...preview.would_send].sort(), where).toEqual(ready);
        // Besides, what stood behind a lease that has just ended: the claim recovers it first.
        const freed = claimed.filter((id) => told.get(id)?.reason === 'in_flight');
        expect(claimed, where).toEqual([...ready, ...freed].sort());
        for (const [id, explanation] of told) {
          const { can_go_at = null, reason, state } = explanation ?? {};
          // Early it may be, but never late: at that instant nothing else may let it go sooner.
          if (can_go_at !== null && at(can_go_at) > session.clock.now) {
            expect(claimed, `${where}, ${reason}`).not.toContain(id);
            waits += 1;
          }
          if (state === 'held' || state === 'missed') expect(can_go_at, where).toBeNull();
        }
        claims += items.length;
        for (const item of items) {
          const ending = random.chance(0.3) ? UNKNOWN : { ...SENT, unipile_post_id: item.post_id };
          await recordPost(session, item, ending);
        }
        const next = next_claim_at === null ? after(session.clock.now, HOUR_MS) : at(next_claim_at);
        // Nothing goes between this claim and the instant it named, unless what was in flight ended.
        if (items.length === 0 && next > session.clock.now) {
          session.clock.now = after(next, -1);
          expect((await claimAnswer(session)).items, where).toEqual([]);
        }
        session.clock.now = next > session.clock.now ? next : after(session.clock.now, MINUTE_MS);
      }
    }
    expect(claims, `SEED=${seed}`).toBeGreaterThan(20);
    expect(waits, `SEED=${seed}`).toBeGreaterThan(20);
  });
});
