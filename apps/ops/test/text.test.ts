/** What is shown of which facts. Everything here is pure. */
import { describe, expect, it } from 'vitest';
import { instantFromNow } from '../src/command-line.ts';
import { isSafeAddress } from '../src/env.ts';
import { readFilter } from '../src/filters.ts';
import { accountsTable, isPaused, sendingText } from '../src/output/account-text.ts';
import { actionQuestion, actionText } from '../src/output/action-text.ts';
import { messageText } from '../src/output/message-text.ts';
import { runProgress, runSentence, statsText } from '../src/output/run-text.ts';
import { table } from '../src/output/table.ts';
import { verdictText } from '../src/output/verdict-text.ts';
import { whyText } from '../src/output/why-text.ts';
import { duration, exactInstant, instant, printable, shortened } from '../src/output/words.ts';
import { readPolicyPatch } from '../src/policy-patch.ts';
import type { Run } from '../src/shapes.ts';
import { aMessage, anAccount, anAttempt, aPolicy, aPost, aRun } from './support/shapes.ts';

const NOW = new Date('2026-11-24T10:20:00Z');
const ID = '00000000-0000-4000-8000-000000000001';

describe('words', () => {
  it.each([
    { iso: '2026-11-24T18:30:05.123+00:00', shown: '2026-11-24 18:30 UTC', exact: '2026-11-24 18:30:05 UTC' },
    { iso: '2026-11-24T23:30:00-02:00', shown: '2026-11-25 01:30 UTC', exact: '2026-11-25 01:30:00 UTC' },
    { iso: 'infinity', shown: 'until somebody resumes it', exact: 'until somebody resumes it' },
    { iso: null, shown: '–', exact: '–' },
  ])('$iso is shown as $shown', ({ iso, shown, exact }) => {
    expect([instant(iso), exactInstant(iso)]).toEqual([shown, exact]);
  });

  it.each([
    [0, '0 ms'],
    [999, '999 ms'],
    [1_000, '1 s'],
    [59_499, '59 s'],
    [60_000, '1 min 00 s'],
    [3_599_000, '59 min 59 s'],
    [3_600_000, '1 h 00 min'],
    [90_000_000, '25 h 00 min'],
  ])('%i ms are %s', (ms, shown) => {
    expect(duration(ms)).toBe(shown);
  });

  it.each([
    { what: 'an escape', text: 'a\u001B[31mb', shown: 'a�[31mb' },
    { what: 'a line that is turned around', text: 'a\u202Eb', shown: 'a�b' },
    { what: 'a family', text: '👨‍👩‍👧', shown: '👨‍👩‍👧' },
    { what: 'lines and tabs', text: 'a\n\tb', shown: 'a\n\tb' },
  ])('$what is made safe to show', ({ text, shown }) => {
    expect(printable(text)).toBe(shown);
  });

  it('an id is shortened to a length, and no further', () => {
    expect([shortened('ACoAAB12345678'), shortened('ACoAAB123456789')]).toEqual([
      'ACoAAB12345678',
      'ACoAAB1234567…',
    ]);
  });

  it('a table has numbers at the right, and is no wider than it needs to be', () => {
    const rows = [
      { name: 'one two', count: 1 },
      { name: '', count: 20 },
    ];
    const shown = table(rows, [
      { head: 'Name', of: ({ name }) => name, width: 5 },
      { head: 'Count', of: ({ count }) => count, width: 40 },
    ]);
    expect(shown.split('\n').slice(1, -1)).toEqual([
      '│ Name  │ Count │',
      '│ one   │     1 │',
      '│ two   │       │',
      '│ –     │    20 │',
    ]);
  });
});

describe('a time that is typed', () => {
  it.each([
    ['2026-12-01T09:30:00Z', '2026-12-01T09:30:00.000Z'],
    ['2026-12-01T09:30+01:00', '2026-12-01T08:30:00.000Z'],
    ['30m', '2026-11-24T10:50:00.000Z'],
    ['2h', '2026-11-24T12:20:00.000Z'],
    ['3d', '2026-11-27T10:20:00.000Z'],
  ])('%s is %s', (text, iso) => {
    expect(instantFromNow(text, NOW)).toBe(iso);
  });

  it.each(['2026-12-01', '2026-12-01T09:30:00', 'tomorrow', '2w', '-2h', '2026-02-31T25:00:00Z', ''])(
    '“%s” is refused',
    (text) => {
      expect(() => instantFromNow(text, NOW)).toThrow('with its zone');
    },
  );
});

describe('an address', () => {
  it.each([
    { address: 'https://jobs.example.com', safe: true },
    { address: 'http://127.0.0.1:10000', safe: true },
    { address: 'http://localhost:10000', safe: true },
    { address: 'http://jobs.example.com', safe: false },
    { address: 'http://127.0.0.1.example.com', safe: false },
    { address: 'https://anna:secret@jobs.example.com', safe: false },
    { address: 'jobs.example.com', safe: false },
  ])('$address is safe for a token: $safe', ({ address, safe }) => {
    expect(isSafeAddress(address)).toBe(safe);
  });
});

describe('a filter', () => {
  const KINDS = { status: 'codes', name: 'texts', from: 'instant', day: 'day', paused: 'boolean' } as const;
  const read = (...entries: string[]) =>
    readFilter(
      () => {
        throw new Error('no account is meant');
      },
      entries,
      KINDS,
    );

  it('has lists, texts with commas, instants and days', async () => {
    expect(
      await read(
        'status=failed, unknown',
        'status=sent',
        'name=a,b',
        'from=2026-12-01T00:00:00+01:00',
        'day=2026-12-01',
        'paused=false',
      ),
    ).toEqual({
      status: ['failed', 'unknown', 'sent'],
      name: ['a,b'],
      from: '2026-11-30T23:00:00.000Z',
      day: '2026-12-01',
      paused: false,
    });
  });

  it.each([
    [['statu=x'], 'There are: status, name, from, day, paused'],
    [['status'], 'must be key=value'],
    [['status='], 'must be key=value'],
    [['=x'], 'must be key=value'],
    [['from=today'], 'from: It must be an instant'],
    [['day=2026-13-01'], 'day: It must be a day'],
    [['paused=yes'], 'true or false'],
    [['day=2026-12-01', 'day=2026-12-02'], 'one value only'],
  ])('%j is refused', async (entries, says) => {
    await expect(read(...entries)).rejects.toThrow(says);
  });
});

describe('settings of a policy', () => {
  it('are read by their kinds', () => {
    expect(
      readPolicyPatch([
        'dms_per_day=7',
        'work_days=1-3,5',
        'holidays=none',
        'warm_up_from=none',
        'time_zone=A=B',
      ]),
    ).toEqual({
      dms_per_day: 7,
      work_days: [1, 2, 3, 5],
      holidays: [],
      warm_up_from: null,
      time_zone: 'A=B',
    });
  });

  it.each([
    [['dms_per_day=1.5'], 'whole number'],
    [['work_days=0-5'], 'from 1 (Monday) to 7'],
    [['work_days=5-1'], 'from 1 (Monday) to 7'],
    [['dms_per_day=1', 'dms_per_day=2'], 'stands twice'],
    [['toString=1'], 'There is no setting'],
  ])('%j is refused', (settings, says) => {
    expect(() => readPolicyPatch(settings)).toThrow(says);
  });
});

describe('a run', () => {
  it.each<{ stats: Run['stats']; done: number; total: number; text: string }>([
    { stats: {}, done: 0, total: 0, text: 'running' },
    { stats: { due: 3 }, done: 0, total: 3, text: 'running: 0 sent, 0 failed, 0 unknown' },
    {
      stats: { due: 3, seen: 5, sent: 2, failed: 1 },
      done: 3,
      total: 5,
      text: 'running: 2 sent, 1 failed, 0 unknown',
    },
    { stats: { confirmed: 2 }, done: 0, total: 0, text: 'running: 0 sent, 0 failed, 0 unknown, 2 confirmed' },
  ])('with $stats is at $done of $total', ({ stats, ...progress }) => {
    expect(runProgress(aRun({ stats }))).toEqual(progress);
  });

  it.each<{ run: Partial<Run>; says: string }>([
    { run: { status: 'queued', started_at: null }, says: 'waits to be taken up' },
    { run: {}, says: 'is under way after 20 min 00 s' },
    { run: { cancel_requested_at: '2026-11-24T10:01:00Z' }, says: 'is stopping after 20 min 00 s' },
    { run: { status: 'succeeded', finished_at: '2026-11-24T10:00:42Z' }, says: 'succeeded after 42 s' },
    {
      run: { status: 'interrupted', finished_at: '2026-11-24T10:00:42Z', error: 'a\ndeploy' },
      says: 'was interrupted after 42 s: a deploy',
    },
  ])('$says', ({ run, says }) => {
    expect(runSentence(aRun(run), NOW)).toBe(`Run ${ID} of dm-queue ${says}`);
  });

  it('tells its counts, and why the rest waits, the most first', () => {
    const stats = {
      sent: 2,
      skipped: { gap: 1, day_limit: 4, paused: 0 },
      next_at: '2026-11-24T18:30:00Z',
      media: 0,
      days: 3,
    };
    const shown = statsText(aRun({ stats }));
    expect(shown).toMatch(/│ sent +│ 2 │\n│ days +│ 3 │/);
    expect(shown).toMatch(
      /4 │ the account’s limit for the day is used up .*day_limit.*\n.*1 │ the account pauses/,
    );
    expect(shown).toMatch(/The next can go 2026-11-24 18:30 UTC\.$/);
    expect(shown).not.toMatch(/paused|media/);
    expect(statsText(aRun())).toBe('It has counted nothing.');
  });
});

describe('why', () => {
  it('says what waits, for how long, and behind what', () => {
    const row = aMessage(
      {
        attempts: [anAttempt(), anAttempt({ http_status: 429, error_type: 'errors/limit' })],
        attempts_total: 2,
      },
      { reason: 'day_limit', can_go_at: '2026-11-25T08:00:00Z', ahead: 2 },
    );
    expect(whyText({ kind: 'message', row })).toBe(
      `Message ${ID} from Ada to ACoAAB1 is pending: the account’s limit for the day is used up. It can go 2026-11-25 08:00 UTC, at the earliest. 2 messages of its account go first. It was tried 2 times; the last of 2026-11-24 10:00:00 UTC ended as not_sent (429 errors/limit). What to do: docs/reasons.md, \`day_limit\`.`,
    );
  });

  it('counts all tries, also those that are not shown', () => {
    const row = aMessage({ attempts: Array(100).fill(anAttempt()), attempts_total: 5_032 });
    expect(whyText({ kind: 'message', row })).toContain('It was tried 5032 times; the last of 2026-11-24');
    expect(messageText(row)).toMatch(/\nThese are the latest 100 of 5032\.$/);
  });

  it('says why the account is paused, and never the text', () => {
    const account = { paused_until: 'infinity', pause_reason: 'account_restricted' };
    const said = whyText({ kind: 'message', row: aMessage({}, { reason: 'paused', account, ahead: 1_000 }) });
    expect(said).toContain(
      'Its account is paused until somebody resumes it: LinkedIn restricts the account.',
    );
    expect(said).toContain('1000 or more messages of its account go first.');
    expect(said).toContain('It has not been tried.');
    expect(said).not.toContain('A secret');
  });

  it('is told of posts too', () => {
    expect(whyText({ kind: 'post', row: aPost({ account_name: null }) })).toMatch(
      /^Post \S+ of an account that is gone is missed: the post is too late to be published by itself\. /,
    );
  });
});

describe('an action', () => {
  const result = {
    action: 'publish_now',
    dry_run: false,
    matched: 104,
    changed: 1,
    refused: [{ id: ID, status: 'published', problem: 'it is published' }],
    sample: [ID],
  };
  it('tells what was done, and what was not', () => {
    expect(actionText(result, 'post')).toMatch(
      /^1 post was set to be published now, of 104 that matched\.\n.*it is published.*… and 102 more$/s,
    );
    expect(actionText({ ...result, dry_run: true, refused: [], changed: 2 }, 'post')).toBe(
      '2 posts would be set to be published now, of 104 that matched.',
    );
    expect(actionQuestion(result, 'post')).toBe('Publish 1 post?');
  });
});

describe('accounts', () => {
  it.each([
    { until: null, paused: false },
    { until: 'infinity', paused: true },
    { until: '2026-11-24T10:20:01Z', paused: true },
    { until: '2026-11-24T10:20:00Z', paused: false }, // it is over
  ])('with a pause until $until are paused: $paused', ({ until, paused }) => {
    expect(isPaused(aPolicy({ paused_until: until }), NOW)).toBe(paused);
  });

  it('show a pause only while it lasts', () => {
    const policy = aPolicy({ paused_until: '2026-11-24T10:00:00Z', pause_reason: 'breaker' });
    expect(accountsTable([anAccount({ policy })], NOW)).not.toContain('breaker');
  });

  it('are all paused', () => {
    const at = '2026-11-24T10:00:00Z';
    expect(
      sendingText({
        paused: true,
        reason: 'x',
        paused_at: at,
        paused_until: null,
        paused_by: 'anna',
        due: 0,
      }),
    ).toBe('All sending is paused until somebody resumes it: x (since 2026-11-24 10:00 UTC, by anna).');
  });
});

describe('the verdict', () => {
  const finding = {
    code: 'slot_missed',
    state: 'late',
    sentence: 'A slot of dm-queue was missed.',
    since: null,
  } as const;
  it('is said as the API says it, on lines of their own', () => {
    expect(
      verdictText({
        code: 'all_paused',
        state: 'stopped',
        sentence: 'All sending is\npaused.',
        since: '2026-11-24T10:15:00.000Z',
        why: 'a \u001b[31mred one.',
        what_to_do: 'Resume it.',
        also: [{ ...finding, why: 'No run was made.', what_to_do: null }],
        as_of: '2026-11-24T10:20:00.000Z',
      }),
    ).toEqual([
      'All sending is paused.',
      '  Since 2026-11-24 10:15 UTC',
      expect.not.stringContaining('\u001b'),
      '  What to do: Resume it.',
      'Also: A slot of dm-queue was missed.',
      '  No run was made.',
    ]);
  });
});
