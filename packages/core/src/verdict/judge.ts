/**
 * The one judge of whether the system is well. The API, the command line and the dashboard say its sentence.
 *
 * Pure: what was seen and the current instant are arguments; what the database saw is judged by its
 * clock, which made its instants. What was not seen is never well.
 */
import { GIVEN_UP, lastEnd, missedSlot, nextSlot, type Run, silentMs } from '../jobs/index.ts';
import { reasonInWords } from '../sending/index.ts';
import type { SystemFacts, VerdictFacts, Waiting } from './facts.ts';
import { type Finding, type FindingCode, VERDICT_STATES, type Verdict } from './verdict.ts';

/** A finding, and what it is about: names of jobs, or ids. */
export interface Found extends Finding {
  /** The newest of them first; one at least. */
  readonly subjects: readonly string[];
  /** There are more than are named. */
  readonly isPartial: boolean;
}

/** What a finding is about that is about nothing in particular. */
const SYSTEM = { subjects: ['system'], isPartial: false } as const;

/** How long a run may be queued before it is late, in milliseconds. */
const QUEUED_MS_MAX = 5 * 60_000;

export function judge(facts: VerdictFacts, now: Date): Verdict {
  if (facts.system === null) return unseen(facts.notReady ?? 'the database does not answer', now);
  const [first = WELL, ...also] = findings(facts).map(
    ({ subjects: _subjects, isPartial: _isPartial, ...finding }): Finding => finding,
  );
  return { ...first, also, as_of: new Date(facts.system.now).toISOString() };
}

/**
 * All that was found, the most pressing first; of a database that did not answer only what keeps
 * the service from its work.
 */
export function findings(facts: VerdictFacts): readonly Found[] {
  const { notReady, system } = facts;
  if (system === null) return notReadiness(notReady);
  const now = new Date(system.now);
  return [
    ...notReadiness(notReady),
    ...stops(system),
    ...waitsForAPerson(system),
    ...facts.jobs.flatMap((job) => ofJob(job, system, now)),
    ...lateness(system),
    ...neverRun(facts),
  ].toSorted((left, right) => pressingness(right) - pressingness(left));
}

/** The verdict of whoever could not ask. */
export function unseen(why: string, now: Date): Verdict {
  return {
    ...{
      code: 'not_seen',
      state: 'unknown',
      sentence: 'Whether all is well cannot be seen.',
      since: null,
      why: sentenceOf(why),
    },
    what_to_do: 'See what GET /ready of the jobs API says, then its logs.',
    ...{ also: [], as_of: now.toISOString() },
  };
}

const WELL: Finding = {
  ...{ code: 'all_well', state: 'well' },
  ...{ sentence: 'All is well.', since: null, why: null, what_to_do: null },
};

/** What was not seen yet is nothing to act on: it comes before `well` alone. */
function pressingness({ state }: Finding): number {
  return state === 'unknown' ? 0.5 : VERDICT_STATES.indexOf(state);
}

function notReadiness(notReady: string | null): Found[] {
  if (notReady === null) return [];
  return [
    {
      ...{ code: 'not_ready', ...SYSTEM },
      state: 'stopped',
      sentence: 'The service is not ready.',
      since: null,
      why: sentenceOf(notReady),
      what_to_do: 'Mend what GET /ready of the jobs API says is failing.',
    },
  ];
}

function stops({ all_paused, key_refused_since }: SystemFacts): Found[] {
  const found: Found[] = [];
  if (all_paused !== null) {
    const { reason, paused_at, paused_until, paused_by } = all_paused;
    const until = paused_until === null ? '' : ` It ends by itself at ${inUtc(paused_until)}.`;
    found.push({
      ...{ code: 'all_paused', ...SYSTEM },
      state: 'stopped',
      sentence: 'All sending is paused.',
      since: paused_at,
      why: sentenceOf(`Paused by ${onOneLine(paused_by)}: ${reason}`),
      what_to_do: `Resume it once the cause is gone: ops resume --all.${until}`,
    });
  }
  if (key_refused_since !== null) {
    found.push({
      ...{ code: 'key_refused', ...SYSTEM },
      state: 'stopped',
      sentence: 'Unipile refuses our API key: nothing can be sent.',
      since: key_refused_since,
      why: null,
      what_to_do: 'Set a valid UNIPILE_API_KEY in the environment of the jobs API.',
    });
  }
  return found;
}

function waitsForAPerson(system: SystemFacts): Found[] {
  const { accounts, held_messages, held_unknown_posts, missed_posts, held_posts } = system;
  const found = (
    code: FindingCode,
    waiting: Waiting,
    sentence: string,
    why: string | null,
    what_to_do: string,
  ): Found[] => {
    const { count, is_more, since, ids: subjects } = waiting;
    if (count === 0) return [];
    const isPartial = is_more || count > subjects.length;
    return [{ code, state: 'needs_a_person', sentence, since, why, what_to_do, subjects, isPartial }];
  };
  return [
    ...found(
      'accounts_waiting',
      accounts,
      `${counted(accounts, 'account')} ${accounts.count === 1 ? 'waits' : 'wait'} for a person, with messages to send.`,
      reasonsOf(accounts),
      'Connect the account again, or mend what it was paused for and resume it: ops accounts list, ops resume <account>.',
    ),
    ...found(
      'messages_held',
      held_messages,
      `${counted(held_messages, 'message')} may be on LinkedIn or not, and a person must say so.`,
      'The answer was lost, it was not found, and it is not sent again by itself.',
      'Look on LinkedIn, then settle it: ops unknowns, ops dm settle.',
    ),
    ...found(
      'posts_unknown',
      held_unknown_posts,
      `${counted(held_unknown_posts, 'post')} may be on LinkedIn or not, and a person must say so.`,
      'The answer was lost, it was not found, and it is not published again by itself.',
      'Look on LinkedIn, then settle it: ops unknowns, ops posts settle.',
    ),
    ...found(
      'posts_missed',
      missed_posts,
      `${counted(missed_posts, 'post')} ${missed_posts.count === 1 ? 'was' : 'were'} missed.`,
      'Its time passed by more than POST_LATE_LIMIT_MINUTES.',
      'Publish it now, give it another time, or cancel it: ops posts list state=missed.',
    ),
    ...found(
      'posts_held',
      held_posts,
      `${counted(held_posts, 'post')} ${held_posts.count === 1 ? 'is' : 'are'} held.`,
      `${Object.entries(held_posts.by_reason)
        .sort(([, left], [, right]) => right - left)
        .map(([reason, count]) => `${count}: ${reasonInWords(reason)}`)
        .join('; ')}.`,
      'Mend the post or its account: ops posts list state=held.',
    ),
  ];
}

function reasonsOf({ count, first }: SystemFacts['accounts']): string {
  const named = first.map(({ account_name, reason }) => {
    const name = onOneLine(account_name ?? 'an account that is gone');
    return `${name}: ${onOneLine(reasonInWords(reason))}`;
  });
  const others = count - first.length;
  return `${named.join('; ')}${others > 0 ? `; and ${others} more` : ''}.`;
}

function ofJob(
  { name, schedule }: VerdictFacts['jobs'][number],
  { first_run_at, last_runs, last_ended_runs }: SystemFacts,
  now: Date,
): Found[] {
  const run = last_runs[name] ?? null;
  const ended = lastEnd(last_ended_runs[name] ?? null, run, now);
  const found: Found[] = [];
  const about = { subjects: [name], isPartial: false };
  if (ended?.status === 'failed') {
    found.push({
      ...about,
      code: 'run_failed',
      state: 'needs_a_person',
      sentence: `The last run of ${name} failed.`,
      since: ended.finished_at,
      why: ended.error === null ? null : sentenceOf(ended.error),
      what_to_do: `Mend the cause, then start it again: ops run ${name}.`,
    });
  }
  const isLate = run?.status === 'queued' && now.getTime() - Date.parse(run.requested_at) >= QUEUED_MS_MAX;
  const notBegun = ended?.error === GIVEN_UP.notBegun ? ended : isLate ? run : null;
  if (notBegun !== null) {
    found.push({
      ...about,
      code: 'run_not_begun',
      state: 'late',
      sentence: `Runs of ${name} do not begin.`,
      since: notBegun.requested_at,
      why: 'Nobody has taken it up.',
      what_to_do: 'See whether the jobs API and its workers are up, and what their logs say.',
    });
  }
  const isSilent = run !== null && silentMs(run, now) !== null;
  const silent = ended?.error === GIVEN_UP.silent ? ended : isSilent ? run : null;
  if (silent !== null) {
    found.push({
      ...about,
      code: 'run_silent',
      state: 'late',
      sentence: `A run of ${name} gave no sign of life.`,
      since: silent.heartbeat_at,
      why: 'Its process went away, or could not reach the database.',
      what_to_do: `The next slot takes its work up. If it comes again, look at the logs of whoever ran it: ops runs --job ${name}.`,
    });
  }
  const missed = missedSlotOf(schedule, run, first_run_at, now);
  if (missed !== null) {
    found.push({
      ...about,
      code: 'slot_missed',
      state: 'late',
      sentence: `A slot of ${name} was missed.`,
      since: missed.toISOString(),
      why: `No run was made for ${inUtc(missed.toISOString())}.`,
      what_to_do: `Look at the cron logs of the web app; meanwhile start a run: ops run ${name}.`,
    });
  }
  return found;
}

/**
 * A job without a run is held against the first slot that came after any job's first run: before,
 * it was not there.
 */
function missedSlotOf(schedule: string, run: Run | null, firstRunAt: string | null, now: Date): Date | null {
  if (run !== null) return missedSlot(schedule, run, now);
  if (firstRunAt === null) return null;
  const first = nextSlot(schedule, new Date(firstRunAt));
  const begun = {
    status: 'succeeded',
    scheduled_for: null,
    requested_at: firstRunAt,
    finished_at: null,
  } as const;
  return first === null || first > now ? null : missedSlot(schedule, begun, now);
}

function lateness({ late_messages, late_posts, last_ended_runs }: SystemFacts): Found[] {
  const found = (code: FindingCode, waiting: Waiting, sentence: string, job: string): Found[] => {
    if (waiting.count === 0) return [];
    const about = { ...SYSTEM, state: 'late', since: waiting.since } as const;
    const late: Found = {
      ...{ ...about, code, sentence },
      why: 'Nothing holds it back, and no run has taken it up.',
      what_to_do: `See whether runs of ${job} begin, and whether they get through: ops runs --job ${job}.`,
    };
    if (!endedWithoutSending(last_ended_runs[job], waiting)) return [late];
    const idle: Found = {
      ...{ ...about, code: 'sends_nothing', subjects: [job] },
      sentence: `Runs of ${job} end without sending anything.`,
      why: 'Something could have gone, and the last run that could have taken it up did not.',
      what_to_do: `See what the run says that it skipped, and its logs: ops runs --job ${job}.`,
    };
    return [idle, late];
  };
  return [
    ...found(
      'messages_late',
      late_messages,
      `Messages of ${counted(late_messages, 'account')} are late.`,
      'dm-queue',
    ),
    ...found(
      'posts_late',
      late_posts,
      `${counted(late_posts, 'post')} ${late_posts.count === 1 ? 'is' : 'are'} late.`,
      'post-scheduler',
    ),
  ];
}

/** Whether a run began after something could have gone, and is over, and nothing went. */
function endedWithoutSending(run: Run | undefined, { since }: Waiting): boolean {
  if (run?.status !== 'succeeded' || run.started_at === null || since === null) return false;
  return Date.parse(run.started_at) > Date.parse(since) && run.stats.sent === 0;
}

function neverRun({ system, jobs }: VerdictFacts): Found[] {
  const isSeen = jobs.some(({ name }) => system?.last_runs[name] !== undefined);
  if (isSeen) return [];
  return [
    {
      ...{ code: 'never_run', ...SYSTEM },
      state: 'unknown',
      sentence: 'No run yet. Whether all is well is not known.',
      since: null,
      why: null,
      what_to_do: 'Wait for the next slot, or start a run: ops run dm-queue.',
    },
  ];
}

function counted({ count, is_more }: Waiting, noun: string): string {
  return `${count.toLocaleString('en')}${is_more ? ' or more' : ''} ${noun}${count === 1 && !is_more ? '' : 's'}`;
}

/** `2026-11-24 10:15 UTC` */
export const inUtc = (instant: string): string =>
  `${new Date(instant).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

/** What somebody wrote, or a machine, which may be anything. */
const onOneLine = (text: string): string => text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();

function sentenceOf(text: string): string {
  const line = onOneLine(text);
  return /[.!?…]$/.test(line) ? line : `${line}.`;
}
