/** Each state of the verdict, caused by one fact; what is most pressing comes first. */
import { describe, expect, it } from 'vitest';
import { GIVEN_UP, isEnded, type Run } from '../../src/jobs/index.ts';
import { judge, type SystemFacts, unseen, type Verdict } from '../../src/verdict/index.ts';

const NOW = new Date('2026-11-24T10:20:00.000Z');
const JOB = { name: 'dm-queue', schedule: '*/15 * * * *' };
const NONE = { count: 0, is_more: false, since: null, ids: [] };
const SINCE = '2026-11-24T09:00:00.000Z';
const SOME = { count: 2, is_more: false, since: SINCE, ids: ['a', 'b'] };

const aRun = (more: Partial<Run> = {}): Run => ({
  id: '00000000-0000-4000-8000-000000000001',
  job: 'dm-queue',
  scheduled_for: '2026-11-24T10:15:00.000Z',
  trigger: 'vercel-cron',
  status: 'succeeded',
  requested_at: '2026-11-24T10:15:01.000Z',
  started_at: '2026-11-24T10:15:01.000Z',
  heartbeat_at: '2026-11-24T10:16:00.000Z',
  finished_at: '2026-11-24T10:16:00.000Z',
  horizon_at: '2026-11-24T10:30:00.000Z',
  cancel_requested_at: null,
  stats: {},
  error: null,
  requested_by: 'cron',
  worker: 'w',
  params: {},
  priority: 0,
  ...more,
});

const WELL: SystemFacts = {
  now: NOW.toISOString(),
  first_run_at: '2026-11-01T00:00:00.000Z',
  last_runs: { 'dm-queue': aRun() },
  last_ended_runs: { 'dm-queue': aRun() },
  all_paused: null,
  key_refused_since: null,
  accounts: { ...NONE, first: [] },
  held_messages: NONE,
  held_unknown_posts: NONE,
  missed_posts: NONE,
  held_posts: { ...NONE, by_reason: {} },
  late_messages: NONE,
  late_posts: NONE,
};

const PAUSE = { reason: 'wrong campaign', paused_at: SINCE, paused_until: null, paused_by: 'anna' };

/** Of the last runs, those that have ended. */
const endedOf = ({ last_runs = WELL.last_runs }: Partial<SystemFacts>): SystemFacts['last_ended_runs'] =>
  Object.fromEntries(Object.entries(last_runs).filter(([, run]) => isEnded(run)));

const judged = (facts: Partial<SystemFacts>, notReady: string | null = null, now = NOW): Verdict => {
  const system = { ...WELL, now: now.toISOString(), last_ended_runs: endedOf(facts), ...facts };
  return judge({ notReady, jobs: [JOB], system }, now);
};

describe('a slot that was missed', () => {
  const missed = {
    last_runs: {
      'dm-queue': aRun({ scheduled_for: '2026-11-24T10:00:00Z', finished_at: '2026-11-24T10:14:59Z' }),
    },
  };

  it.each([
    { at: '10:17:59', says: 'All is well.' },
    { at: '10:18:00', says: 'A slot of dm-queue was missed.' },
    { at: '10:29:59', says: 'A slot of dm-queue was missed.' },
    // The next one has its grace; the one before stays missed.
    { at: '10:30:00', says: 'A slot of dm-queue was missed.' },
    { at: '10:32:59', says: 'A slot of dm-queue was missed.' },
    { at: '10:33:00', says: 'A slot of dm-queue was missed.' },
  ])('at $at: $says', ({ at, says }) => {
    expect(judged(missed, null, new Date(`2026-11-24T${at}Z`)).sentence).toBe(says);
  });
});

describe('judge', () => {
  it('says that all is well where everything was seen, and nothing found', () => {
    expect(judged({})).toEqual({
      ...{
        code: 'all_well',
        state: 'well',
        sentence: 'All is well.',
        since: null,
        why: null,
        what_to_do: null,
        also: [],
      },
      as_of: NOW.toISOString(),
    });
  });

  it.each<{ facts: Partial<SystemFacts>; says: Partial<Verdict> }>([
    {
      facts: { all_paused: PAUSE },
      says: {
        state: 'stopped',
        sentence: 'All sending is paused.',
        since: SINCE,
        why: 'Paused by anna: wrong campaign.',
      },
    },
    {
      facts: { all_paused: { ...PAUSE, paused_until: '2026-11-25T08:00:00Z' } },
      says: {
        state: 'stopped',
        what_to_do: expect.stringContaining('It ends by itself at 2026-11-25 08:00 UTC.'),
      },
    },
    {
      facts: { key_refused_since: SINCE },
      says: { state: 'stopped', sentence: 'Unipile refuses our API key: nothing can be sent.', since: SINCE },
    },
    {
      facts: {
        accounts: {
          ...SOME,
          count: 5,
          first: [
            { account_name: 'Ada\nMoreau', reason: 'account_restricted' },
            { account_name: null, reason: 'holidays' },
          ],
        },
      },
      says: {
        state: 'needs_a_person',
        sentence: '5 accounts wait for a person, with messages to send.',
        since: SINCE,
        why: 'Ada Moreau: LinkedIn restricts the account; an account that is gone: holidays; and 3 more.',
      },
    },
    {
      facts: { held_messages: { ...SOME, count: 1 } },
      says: {
        state: 'needs_a_person',
        sentence: '1 message may be on LinkedIn or not, and a person must say so.',
      },
    },
    {
      facts: { held_messages: { ...SOME, count: 1_000, is_more: true } },
      says: { sentence: '1,000 or more messages may be on LinkedIn or not, and a person must say so.' },
    },
    {
      facts: { held_unknown_posts: SOME },
      says: {
        state: 'needs_a_person',
        sentence: '2 posts may be on LinkedIn or not, and a person must say so.',
      },
    },
    { facts: { missed_posts: SOME }, says: { state: 'needs_a_person', sentence: '2 posts were missed.' } },
    {
      facts: { held_posts: { ...SOME, count: 3, by_reason: { post_empty: 1, media_invalid: 2 } } },
      says: {
        state: 'needs_a_person',
        sentence: '3 posts are held.',
        why: '2: a file of the post cannot be used; 1: the post has no text.',
      },
    },
    {
      facts: { late_messages: SOME },
      says: { state: 'late', sentence: 'Messages of 2 accounts are late.', since: SINCE },
    },
    {
      facts: {
        late_messages: SOME,
        last_runs: { 'dm-queue': aRun({ stats: { sent: 0, failed: 0 } }) },
      },
      says: {
        ...{ code: 'sends_nothing', state: 'late' },
        sentence: 'Runs of dm-queue end without sending anything.',
        also: [
          expect.objectContaining({ code: 'messages_late', sentence: 'Messages of 2 accounts are late.' }),
        ],
      },
    },
    // It began before anything could go, or sent something.
    ...[aRun({ started_at: SINCE, stats: { sent: 0 } }), aRun({ stats: { sent: 1 } })].map((run) => ({
      facts: { late_messages: SOME, last_runs: { 'dm-queue': run } },
      says: { code: 'messages_late' } as const,
    })),
    {
      facts: { late_posts: { ...SOME, count: 1 } },
      says: { state: 'late', sentence: '1 post is late.', since: SINCE },
    },
    {
      facts: { last_runs: { 'dm-queue': aRun({ status: 'failed', error: 'no key' }) } },
      says: {
        state: 'needs_a_person',
        sentence: 'The last run of dm-queue failed.',
        since: aRun().finished_at,
        why: 'no key.',
      },
    },
    {
      facts: {
        last_runs: {
          'dm-queue': aRun({ status: 'running', finished_at: null, heartbeat_at: '2026-11-24T10:18:00Z' }),
        },
      },
      says: {
        state: 'late',
        sentence: 'A run of dm-queue gave no sign of life.',
        since: '2026-11-24T10:18:00Z',
      },
    },
    {
      facts: {
        last_runs: {
          'dm-queue': aRun({ status: 'queued', finished_at: null, requested_at: '2026-11-24T10:15:00Z' }),
        },
      },
      says: { state: 'late', sentence: 'Runs of dm-queue do not begin.' },
    },
    {
      facts: { last_runs: { 'dm-queue': aRun({ status: 'interrupted', error: GIVEN_UP.silent }) } },
      says: { code: 'run_silent', since: aRun().heartbeat_at },
    },
    {
      facts: { last_runs: { 'dm-queue': aRun({ status: 'interrupted', error: GIVEN_UP.notBegun }) } },
      says: { code: 'run_not_begun', since: aRun().requested_at },
    },
    {
      facts: {
        last_runs: {
          'dm-queue': aRun({ scheduled_for: '2026-11-24T10:00:00Z', finished_at: '2026-11-24T10:14:59Z' }),
        },
      },
      says: {
        state: 'late',
        sentence: 'A slot of dm-queue was missed.',
        since: '2026-11-24T10:15:00.000Z',
        why: 'No run was made for 2026-11-24 10:15 UTC.',
      },
    },
    {
      facts: { first_run_at: null, last_runs: {} },
      says: { state: 'unknown', sentence: 'No run yet. Whether all is well is not known.' },
    },
  ])('$says.state: $says.sentence', ({ facts, says }) => {
    expect(judged(facts)).toMatchObject({ also: [], ...says });
  });

  it.each([
    { code: 'run_failed', ended: { status: 'failed', error: 'no key' } },
    { code: 'run_silent', ended: { status: 'interrupted', error: GIVEN_UP.silent } },
    { code: 'run_not_begun', ended: { status: 'interrupted', error: GIVEN_UP.notBegun } },
  ] as const)('$code lasts until the next run has been at work for ten minutes', ({ code, ended }) => {
    const next = aRun({ id: 'b', status: 'running', finished_at: null, started_at: '2026-11-24T10:15:00Z' });
    const after = (at: string) =>
      judged(
        {
          last_runs: { 'dm-queue': { ...next, heartbeat_at: `2026-11-24T${at}Z` } },
          last_ended_runs: { 'dm-queue': aRun(ended) },
        },
        null,
        new Date(`2026-11-24T${at}Z`),
      ).code;
    expect([after('10:15:01'), after('10:24:59'), after('10:25:00')]).toEqual([code, code, 'all_well']);
  });

  it('a run that failed late is not over before the next has come further', () => {
    const ended = {
      status: 'failed',
      started_at: '2026-11-24T09:45:00Z',
      finished_at: '2026-11-24T09:58:00Z',
    } as const;
    const next = aRun({ id: 'b', status: 'running', finished_at: null, started_at: '2026-11-24T10:00:00Z' });
    const after = (at: string) => {
      const last_runs = { 'dm-queue': { ...next, heartbeat_at: `2026-11-24T${at}Z` } };
      const facts = { last_runs, last_ended_runs: { 'dm-queue': aRun(ended) } };
      return judged(facts, null, new Date(`2026-11-24T${at}Z`)).code;
    };
    expect([after('10:14:59'), after('10:15:00')]).toEqual(['run_failed', 'all_well']);
  });

  it('judges by the clock of the database', () => {
    const last_runs = { 'dm-queue': aRun({ status: 'running', finished_at: null, heartbeat_at: WELL.now }) };
    const ahead = new Date(NOW.getTime() + 3_600_000);
    expect(judge({ notReady: null, jobs: [JOB], system: { ...WELL, last_runs } }, ahead)).toMatchObject({
      ...{ code: 'all_well', as_of: WELL.now },
    });
  });

  it.each([
    ['interrupted', { status: 'interrupted' }],
    ['that went on into this slot', { scheduled_for: '2026-11-24T10:00:00Z' }],
    ['with a sign of life', { status: 'running', finished_at: null, heartbeat_at: '2026-11-24T10:18:01Z' }],
    ['queued for less than five minutes', { status: 'queued', finished_at: null }],
  ] as const)('a run %s is well', (_, run) => {
    expect(judged({ last_runs: { 'dm-queue': aRun(run) } })).toMatchObject({ state: 'well' });
  });

  it('lets a slot be late for three minutes', () => {
    const last_runs = {
      'dm-queue': aRun({ scheduled_for: '2026-11-24T10:00:00Z', finished_at: '2026-11-24T10:01:00Z' }),
    };
    expect(judged({ last_runs }, null, new Date('2026-11-24T10:17:59.999Z')).state).toBe('well');
    expect(judged({ last_runs }, null, new Date('2026-11-24T10:18:00Z')).state).toBe('late');
  });

  it.each([
    { first_run_at: '2026-11-24T10:14:59Z', state: 'late' },
    { first_run_at: '2026-11-24T10:15:01Z', state: 'well' },
  ])('a job without a run, the first of any at $first_run_at, is $state', ({ first_run_at, state }) => {
    const jobs = [JOB, { name: 'reconcile', schedule: '*/15 * * * *' }];
    const system = { ...WELL, first_run_at };
    expect(judge({ notReady: null, jobs, system }, NOW).state).toBe(state);
  });

  it('says the most pressing first, and the rest after it', () => {
    const all = judged(
      { all_paused: PAUSE, late_posts: SOME, missed_posts: SOME, first_run_at: null, last_runs: {} },
      'Failing: schema.',
    );
    expect([all, ...all.also].map(({ state }) => state)).toEqual([
      ...['stopped', 'stopped', 'needs_a_person', 'late', 'unknown'],
    ]);
    expect(all).toMatchObject({ sentence: 'The service is not ready.', why: 'Failing: schema.' });
  });

  it('says what a person must mend before what is late, and what is not known last', () => {
    const { sentence, also } = judge(
      {
        notReady: null,
        jobs: [JOB, { name: 'reconcile', schedule: '0 0 1 1 *' }],
        system: {
          ...WELL,
          last_runs: {
            'dm-queue': aRun({
              status: 'queued',
              requested_at: SINCE,
              finished_at: null,
            }),
            reconcile: aRun({ job: 'reconcile', status: 'failed', error: 'no' }),
          },
          last_ended_runs: { reconcile: aRun({ job: 'reconcile', status: 'failed', error: 'no' }) },
        },
      },
      NOW,
    );
    expect([sentence, ...also.map((finding) => finding.sentence)]).toEqual([
      'The last run of reconcile failed.',
      'Runs of dm-queue do not begin.',
    ]);
  });

  it('what was not seen is never well', () => {
    expect(judge({ notReady: null, jobs: [JOB], system: null }, NOW).state).toBe('unknown');
    expect(judge({ notReady: 'Failing: database.', jobs: [JOB], system: null }, NOW)).toMatchObject({
      state: 'unknown',
      sentence: 'Whether all is well cannot be seen.',
      why: 'Failing: database.',
    });
    expect(judge({ notReady: null, jobs: [], system: WELL }, NOW).state).toBe('unknown');
    expect(unseen('no answer', NOW)).toMatchObject({ state: 'unknown', why: 'no answer.' });
  });
});
