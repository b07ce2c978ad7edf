/**
 * A restore in mid-campaign, by what LinkedIn's users saw: a real Postgres is copied, goes on, and
 * the copy is put in its place. Time is simulated, everything else is real: the jobs, the SQL
 * functions, HTTP.
 */
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { cloneDatabase, copyDatabase, poolOf, queryOf } from '../../../../tests/support/test-postgres.ts';
import { createAdmin, type Restore } from '../../src/admin/index.ts';
import { createDmOutbox } from '../../src/dm/dm-outbox.ts';
import { simulatedEffects } from '../../src/effects/index.ts';
import { jobs } from '../../src/registry.ts';
import { createSqlRpc, withClock } from '../../src/rpc/index.ts';
import { makeAccount, messagesOf } from '../support/database.ts';
import { createDriver } from '../support/driving.ts';
import { systemOf } from '../support/jobs.ts';
import { clientForTest, sandboxForTest } from '../support/sandbox.ts';

/** A Monday morning. */
const START = new Date('2026-03-02T09:00:01Z');
const [MINUTE_MS, HOUR_MS] = [60_000, 3_600_000];

const LIMITS = { dms_per_day: 6, dms_per_24h: 9, dms_per_7d: 40 };
const POLICY = { ...LIMITS, gap_min_s: 300, gap_max_s: 300, window_start: '09:00', window_end: '18:00' };

// Simulated time does not wait for what is loaded.
beforeAll(() => Promise.all(jobs.map((job) => job.loadHandler())));

/** One timeline, and one LinkedIn that no restore takes back. */
async function linkedIn() {
  const effects = simulatedEffects(START);
  const driver = createDriver(effects);
  const names = ['ada', 'ben', 'cas', 'dov'];
  const sandbox = await sandboxForTest({ now: effects.now, accounts: names.map((id) => ({ id })) });
  const unipile = driver.unipile(clientForTest(sandbox));
  return { effects, driver, sandbox, unipile };
}
type LinkedIn = Awaited<ReturnType<typeof linkedIn>>;

/** The product on a database, until it is closed. */
function productOn(url: string, { effects, driver, unipile }: LinkedIn) {
  const pool = poolOf({ connectionString: url, options: '-c role=service_role', max: 8 });
  const query = queryOf(pool);
  const rpc = withClock(driver.rpc(createSqlRpc(query)), effects.now);
  const system = systemOf(jobs, rpc, effects, { unipile });
  const known = ['dm-queue', 'post-scheduler', 'reconcile'].map((name) => {
    const job = jobs.find((each) => each.name === name);
    if (job === undefined) throw new Error(`no such job: ${name}`);
    return job;
  });
  /** The jobs of one slot, up to their end. */
  const slot = async (): Promise<void> => {
    const runs = await driver.during(() => Promise.all(known.map((job) => system.start(job))));
    const ended = await driver.untilEnd(Promise.all(runs.map(({ id }) => system.ended(id))), 15_000);
    expect(ended.map(({ status, error }) => ({ status, error }))).toEqual(
      known.map(() => ({ status: 'succeeded', error: null })),
    );
  };
  return {
    query,
    rpc,
    services: system.services,
    operations: createAdmin(rpc, 360),
    /** A run each so many minutes, until an instant. */
    async runUntil(iso: string, everyMinutes = 15) {
      const until = new Date(iso);
      while (effects.now() < until) {
        const next = effects.now().getTime() + everyMinutes * MINUTE_MS;
        await slot();
        await driver.pass(Math.max(0, next - effects.now().getTime()), 5 * MINUTE_MS);
      }
    },
    statuses: async () =>
      Object.fromEntries(
        (await query('select message, status, reason from public.dm_queue order by position', [])).map(
          ({ message, status, reason }) => [message, reason === null ? status : `${status}: ${reason}`],
        ),
      ),
    close: () => pool.end(),
  };
}
type Product = ReturnType<typeof productOn>;

const post = (product: Product, account: string, content: string, scheduledFor: string, now: Date) =>
  product.query(
    `insert into public.posts (linkedin_account_id, content, status, scheduled_for, created_at)
     values ($1, $2, 'scheduled', $3, $4)`,
    [account, content, scheduledFor, now.toISOString()],
  );

/** The most effects of an account within any span of this length, in milliseconds. */
function mostWithin(instants: readonly number[], spanMs: number): number {
  const counts = instants.map((from) => instants.filter((at) => at >= from && at < from + spanMs).length);
  return Math.max(0, ...counts);
}

describe('a database that is put back in mid-campaign', () => {
  it('sends nothing twice, passes no limit, sends what had not gone out, and holds what cannot be known', async () => {
    const world = await linkedIn();
    const { effects, driver, sandbox } = world;
    const lostDatabase = await cloneDatabase();
    onTestFinished(() => lostDatabase.drop());

    // The campaign begins.
    const first = productOn(lostDatabase.url, world);
    const account: Record<string, string> = {};
    for (const name of ['ada', 'ben', 'cas', 'dov']) account[name] = await makeAccount(first, name, POLICY);
    const { ada = '', ben = '', cas = '', dov = '' } = account;
    await first.rpc.call('dm_enqueue', {
      rows: [...messagesOf(ada, 9, 'ada '), ...messagesOf(ben, 8, 'ben '), ...messagesOf(dov, 2, 'dov ')],
    });
    const later = { linkedin_account_id: cas, recipient_id: 'ACoAALater', send_at: '2026-03-03T12:00:00Z' };
    await first.rpc.call('dm_enqueue', { rows: [{ ...later, message: 'later' }] });
    await post(first, ada, 'a post', '2026-03-02T09:20:00Z', effects.now());
    await post(first, ben, 'a post of the evening', '2026-03-02T17:00:00Z', effects.now());
    sandbox.world.setAccountStatus('dov', 'CREDENTIALS');
    await first.rpc.call('account_pause', { account_id: dov, reason: 'not yet', actor: 'anna' });
    await first.runUntil('2026-03-02T09:15:00Z');

    // One message is on its way while the backup is made.
    await first.rpc.call('dm_enqueue', {
      rows: [{ linkedin_account_id: cas, recipient_id: 'ACoAAUnderWay', message: 'under way' }],
    });
    const outbox = createDmOutbox(first.services);
    const claimId = effects.uuid();
    const claim = await outbox.claim({
      claimId,
      worker: 'w',
      limit: 1,
      leaseMs: 120_000,
      draw: 0,
      accountIds: [cas],
    });
    const [underWay] = claim.items;
    if (underWay === undefined) throw new Error('nothing was claimed');
    const to = effects.now();
    await first.close();
    const backup = await copyDatabase(new URL(lostDatabase.url).pathname.slice(1));
    onTestFinished(() => backup.drop());
    const sentBefore = sandbox.world.effects().length;
    expect(sentBefore).toBeGreaterThan(4);

    // What is going to be lost: it goes out, a message and a post are queued and go out, another
    // one goes early.
    const lost = productOn(lostDatabase.url, world);
    const lostOutbox = createDmOutbox(lost.services);
    await lostOutbox.record([await lostOutbox.send(underWay, () => true, new AbortController().signal)]);
    await lost.rpc.call('dm_enqueue', {
      rows: [
        { linkedin_account_id: ben, recipient_id: 'ACoAAGone', message: 'gone', priority: 9 },
        ...messagesOf(ada, 3, 'gone for good ').map((row) => ({ ...row, priority: 9 })),
      ],
    });
    const [{ id: laterId } = {}] = await lost.query(
      `select id from public.dm_queue where message = 'later'`,
      [],
    );
    await lost.operations.messages.act(
      { action: 'reschedule', selection: { ids: [String(laterId)] }, args: { send_at: to.toISOString() } },
      'anna',
    );
    await lost.runUntil('2026-03-02T10:00:00Z');
    await lost.close();
    const texts = () => sandbox.world.effects().map(({ text }) => text);
    expect(texts()).toEqual(
      expect.arrayContaining(['under way', 'gone', 'gone for good 2', 'later', 'a post']),
    );
    const sentByThen = texts();

    // It is put back: the pause comes before anything else, and the slots come again.
    const product = productOn(backup.url, world);
    onTestFinished(() => product.close());
    expect(
      Object.values(await product.statuses()).filter((status) => status === 'pending').length,
    ).toBeGreaterThan(10);
    await product.rpc.call('sending_pause_set', { reason: 'the database was put back', actor: 'anna' });
    await product.runUntil('2026-03-02T10:15:00Z');
    const tell = (): Promise<Restore> =>
      driver.during(() => product.operations.restores.mark({ to: to.toISOString() }, 'anna'));
    const told = await tell();
    expect(told).toMatchObject({ is_marked: true, paused: true, posts: { looked_for: 1 } });
    expect(told.messages.looked_for).toBeGreaterThan(10);
    // The campaign whose rows were lost is queued anew.
    await product.rpc.call('dm_enqueue', {
      rows: [{ linkedin_account_id: ben, recipient_id: 'ACoAAGone', message: 'gone', priority: 9 }],
    });

    // Looked for; nothing goes out meanwhile.
    await product.runUntil('2026-03-02T11:30:00Z');
    expect(texts()).toEqual(sentByThen);
    const looked = await tell();
    const released = looked.messages.released + looked.posts.released;
    expect(looked.messages).toMatchObject({ looked_for: 2, held: 0 });
    expect([looked.messages.sent, looked.posts.sent]).toEqual([2, 1]);
    expect(await product.statuses()).toMatchObject({ 'under way': 'sent', 'dov 0': 'unknown: restored' });

    // A person goes on, and the campaign comes to its end.
    await product.operations.sending.resume('anna');
    await product.runUntil('2026-03-02T18:00:00Z', 180);
    await product.runUntil('2026-03-04T18:00:00Z', 180);
    const expected = [
      ...messagesOf(ada, 9, 'ada '),
      ...messagesOf(ben, 8, 'ben '),
      ...messagesOf(ada, 3, 'gone for good '),
      ...['under way', 'gone', 'later', 'a post', 'a post of the evening'].map((message) => ({ message })),
    ].map(({ message }) => message);
    expect(texts().sort()).toEqual(expected.sort());
    expect(texts().length - sentByThen.length).toBeGreaterThanOrEqual(released);

    // By what LinkedIn saw.
    for (const name of ['ada', 'ben', 'cas']) {
      const sent = sandbox.world
        .effects({ kind: 'message', account_id: name })
        .map(({ at }) => Date.parse(at));
      const byDay = Map.groupBy(sent, (at) => new Date(at).toISOString().slice(0, 10));
      expect(Math.max(...[...byDay.values()].map((day) => day.length))).toBeLessThanOrEqual(
        LIMITS.dms_per_day,
      );
      expect(mostWithin(sent, 24 * HOUR_MS)).toBeLessThanOrEqual(LIMITS.dms_per_24h);
    }
    // Of one account nothing can be seen: a person is asked in the end, and nothing was sent.
    expect(await product.statuses()).toMatchObject({
      'dov 0': 'unknown: restored',
      'dov 1': 'unknown: restored',
    });
    await product.operations.accounts.resume(dov, 'anna');
    await product.runUntil('2026-03-10T00:00:00Z', 24 * 60);
    expect(await product.statuses()).toMatchObject({ 'dov 0': 'unknown: unknown_held' });
    expect(sandbox.world.effects({ account_id: 'dov' })).toEqual([]);
  });
});
