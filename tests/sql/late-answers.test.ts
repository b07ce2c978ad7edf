/**
 * An answer that comes when something newer is known already: it never overwrites that, and never
 * makes anything go out again. Only `sent` is the truth whatever was thought before.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { after, rowOf } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import type { Step } from '../support/orders.ts';
import { FAIL, publicationOf, RELEASE, RETRY, SENT, UNKNOWN } from '../support/posts.ts';
import * as dm from './dm-situations.ts';
import * as post from './post-situations.ts';

let session: Session;
beforeAll(async () => {
  session = await openSession();
});
afterAll(() => session.close());

/**
 * What became known of the first thing, what it then is, and what it is once its first attempt is
 * said to be sent.
 */
interface Truth<World> {
  readonly known: string;
  make(session: Session): Promise<World>;
  readonly steps: readonly Step<World>[];
  readonly is: string;
  readonly becomes: string;
  /** The attempt is known to be sent: that it was is no news. */
  readonly isNoNews?: boolean;
}

const MESSAGES: readonly Truth<dm.Messages>[] = [
  { known: 'its lease ended', make: dm.leaseOver, steps: [dm.recovers], is: 'unknown', becomes: 'sent' },
  {
    known: 'it was found',
    make: dm.unknown,
    steps: [dm.resolves('sent')],
    is: 'sent',
    becomes: 'sent',
    isNoNews: true,
  },
  {
    known: 'it was not found',
    make: dm.unknown,
    steps: [dm.resolves('absent')],
    is: 'pending',
    becomes: 'sent',
  },
  {
    known: 'a second attempt is under way',
    make: dm.secondTry,
    steps: [],
    is: 'sending',
    becomes: 'sending',
  },
  {
    known: 'a second attempt was sent',
    make: dm.secondTry,
    steps: [dm.records('sent', dm.SENT, 1)],
    is: 'sent',
    becomes: 'sent',
  },
  {
    known: 'a second attempt was lost',
    make: dm.secondTry,
    steps: [dm.recovers],
    is: 'unknown',
    becomes: 'sent',
  },
  {
    known: 'a second attempt was refused',
    make: dm.secondTry,
    steps: [dm.records('fail', dm.FAIL, 1)],
    is: 'failed',
    becomes: 'sent',
  },
  {
    known: 'a person says it was sent',
    make: dm.unknown,
    steps: [dm.acts('settle', 'first', { decision: 'sent' })],
    is: 'sent',
    becomes: 'sent',
    isNoNews: true,
  },
  {
    known: 'a person says it was not',
    make: dm.unknown,
    steps: [dm.acts('settle', 'first', { decision: 'resend' })],
    is: 'pending',
    becomes: 'sent',
  },
  {
    known: 'a person gave it up',
    make: dm.unknown,
    steps: [dm.acts('settle', 'first', { decision: 'drop' })],
    is: 'cancelled',
    becomes: 'sent',
  },
  {
    known: 'a person cancelled its retry',
    make: dm.underWay,
    steps: [dm.records('retry', dm.RETRY), dm.acts('cancel', 'first')],
    is: 'cancelled',
    becomes: 'sent',
  },
  { known: 'it was refused', make: dm.failed, steps: [], is: 'failed', becomes: 'sent' },
  {
    known: 'it was refused, and a person tries it again',
    make: dm.failed,
    steps: [dm.acts('retry', 'first')],
    is: 'pending',
    becomes: 'sent',
  },
];

const POSTS: readonly Truth<post.Posts>[] = [
  {
    known: 'its lease ended',
    make: post.leaseOver,
    steps: [post.recovers],
    is: 'unknown',
    becomes: 'published',
  },
  {
    known: 'it was found',
    make: post.unknown,
    steps: [post.resolves('sent')],
    is: 'published',
    becomes: 'published',
    isNoNews: true,
  },
  {
    known: 'it was not found',
    make: post.unknown,
    steps: [post.resolves('absent')],
    is: 'waiting',
    becomes: 'published',
  },
  {
    known: 'a second attempt is under way',
    make: post.secondTry,
    steps: [],
    is: 'publishing',
    becomes: 'publishing',
  },
  {
    known: 'a second attempt was sent',
    make: post.secondTry,
    steps: [post.records('sent', SENT, 1)],
    is: 'published',
    becomes: 'published',
  },
  {
    known: 'a second attempt was lost',
    make: post.secondTry,
    steps: [post.recovers],
    is: 'unknown',
    becomes: 'published',
  },
  {
    known: 'a second attempt was refused',
    make: post.secondTry,
    steps: [post.records('fail', FAIL, 1)],
    is: 'failed',
    becomes: 'published',
  },
  {
    known: 'a person says it was sent',
    make: post.unknown,
    steps: [post.acts('settle', 'first', { decision: 'sent' })],
    is: 'published',
    becomes: 'published',
    isNoNews: true,
  },
  {
    known: 'a person says it was not',
    make: post.unknown,
    steps: [post.acts('settle', 'first', { decision: 'resend' })],
    is: 'waiting',
    becomes: 'published',
  },
  {
    known: 'a person gave it up',
    make: post.unknown,
    steps: [post.acts('settle', 'first', { decision: 'drop' })],
    is: 'failed',
    becomes: 'published',
  },
  {
    known: 'a person cancelled its retry',
    make: post.underWay,
    steps: [post.records('retry', RETRY), post.acts('cancel', 'first')],
    is: 'waiting',
    becomes: 'published',
  },
  { known: 'it was refused', make: post.failed, steps: [], is: 'failed', becomes: 'published' },
  {
    known: 'it was refused, and a person tries it again',
    make: post.failed,
    steps: [post.acts('retry', 'first')],
    is: 'waiting',
    becomes: 'published',
  },
];

const NO_NEWS = [UNKNOWN, RETRY, FAIL, RELEASE];

describe.each([
  {
    kind: 'message',
    truths: MESSAGES as readonly Truth<dm.Messages>[],
    record: dm.records,
    read: dm.readMessages,
    stateOf: async ({ first }: { first: string }) => (await rowOf(session, first)).status,
  },
  {
    kind: 'post',
    truths: POSTS as readonly Truth<dm.Messages>[],
    record: post.records,
    read: post.readPosts,
    stateOf: async ({ first }: { first: string }) => (await publicationOf(session, first)).state,
  },
])('of a $kind', ({ truths, record, read, stateOf }) => {
  it.each(truths)('when $known', async ({ make, steps, is, becomes, isNoNews = false }) => {
    const world = await make(session);
    for (const step of steps) await step.run(session, world);
    session.clock.now = after(session.clock.now, 1_000);
    expect(await stateOf(world)).toBe(is);
    const before = await read(session);

    for (const ending of isNoNews ? [...NO_NEWS, SENT] : NO_NEWS) {
      expect(await record('late', ending).run(session, world)).toBe('ignored');
      expect(await read(session)).toEqual(before);
    }
    if (!isNoNews) {
      expect(await record('late', SENT).run(session, world)).toBe('late');
      expect(await record('late again', SENT).run(session, world)).toBe('ignored');
    }
    expect(await stateOf(world)).toBe(becomes);
  });
});
