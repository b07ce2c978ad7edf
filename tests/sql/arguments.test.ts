/**
 * What callers pass to the SQL functions, whatever it is: nothing of it is run as SQL, and what is
 * wrong is refused by a rule.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { accountId, after, at, DAY_MS, openAccount, queue } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import { insertDmAttempts, insertPostAttempts } from '../support/raw-rows.ts';

const NOW = at('2026-03-02T10:00:00Z');
let session: Session;

interface SqlFunction {
  readonly name: string;
  readonly signature: string;
  readonly types: readonly string[];
}
const functions: SqlFunction[] = [];

beforeAll(async () => {
  session = await openSession(NOW);
  const account = await openAccount(session, 1);
  const [message_id = ''] = await queue(session, account);
  const old = after(NOW, -200 * DAY_MS).toISOString();
  const attempt = { account_id: account, started_at: old, effect_by: old, outcome: 'sent' } as const;
  await insertDmAttempts(session, [{ ...attempt, id: accountId(8), message_id }]);
  await insertPostAttempts(session, [{ ...attempt, id: accountId(9), post_id: accountId(7) }]);
  const found = await session.query(
    `select f.proname as name, f.oid::regprocedure::text as signature,
       array(select format_type(type, null) from unnest(f.proargtypes) as type) as types
     from pg_proc as f
     where f.pronamespace = 'public'::regnamespace and f.prorettype <> 'trigger'::regtype order by 2`,
    [],
  );
  functions.push(...(found as unknown as SqlFunction[]));
  // It counts whoever runs it, also in what is rolled back.
  await session.asOwner('create sequence public.canary', []);
  await session.asOwner('grant all on sequence public.canary to service_role', []);
});
afterAll(() => session?.close());

const CANARY = `nextval('public.canary')`;
/** SQL, for each place of a statement that a caller's text was ever put into. */
const PIECES = [
  CANARY,
  `select where ${CANARY} > 0`,
  `text, ${CANARY}, '{}'::text`,
  `x'; select ${CANARY}; --`,
  `true) or ${CANARY} > 0 --`,
];
/** What else must be right, so that a function comes to the piece: a place in a list, the name of a table. */
const FIRST_TEXTS = [
  null,
  Buffer.from(JSON.stringify(['x'])).toString('base64url'),
  'dm_attempts',
  'post_attempts',
];
const SHAPES: ReadonlyArray<(piece: string) => unknown> = [
  (piece) => ({ a: piece }),
  (piece) => ({ a: [piece, piece, 'in'] }),
  (piece) => ({ a: [piece, piece, '='] }),
  (piece) => ({ a: [piece, piece, 'where'] }),
  (piece) => [{ [piece]: piece }, piece],
];

/** An argument of a type: the piece where it takes text or JSON, else something that is in order. */
function argumentOf(type: string, piece: string, shape: (piece: string) => unknown): unknown {
  switch (type) {
    case 'text':
      return piece;
    case 'text[]':
      return [piece];
    case 'jsonb':
      return JSON.stringify(shape(piece));
    case 'integer':
    case 'smallint':
    case 'bigint':
      return 1;
    case 'double precision':
      return 0;
    case 'boolean':
      return false;
    case 'date':
      return '2026-03-02';
    case 'timestamp with time zone':
      return NOW.toISOString();
    default:
      return null;
  }
}

async function callsOf({ name, types }: SqlFunction, values: readonly unknown[]): Promise<void> {
  const placed = types.map((type, index) => `$${index + 1}::${type}`).join(', ');
  await session.query('begin', []);
  try {
    await session.query(`select public.${name}(${placed})`, values);
  } catch (error) {
    // A refusal, of whichever kind: what matters is what was run before it.
    expect(error).toHaveProperty('code');
  } finally {
    await session.query('rollback', []);
  }
}

it('a piece of SQL in an argument is run by no function', async () => {
  expect(functions.length).toBeGreaterThan(100);
  const ran = new Set<string>();
  for (const called of functions) {
    const isText = called.types.map((type) => type === 'text');
    if (!called.types.some((type) => ['text', 'text[]', 'jsonb'].includes(type))) continue;
    for (const piece of PIECES) {
      for (const shape of called.types.includes('jsonb') ? SHAPES : SHAPES.slice(0, 1)) {
        for (const first of isText.includes(true) ? FIRST_TEXTS : [null]) {
          const values = called.types.map((type) => argumentOf(type, piece, shape));
          if (first !== null) values[isText.indexOf(true)] = first;
          await callsOf(called, values);
          const [canary] = await session.query('select is_called from public.canary', []);
          if (canary?.is_called === true) {
            ran.add(called.signature);
            await session.asOwner('alter sequence public.canary restart', []);
          }
        }
      }
    }
  }
  expect([...ran]).toEqual([]);
}, 300_000);

/** What operators' requests reach, each with arguments that are in order. */
const ASKED: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  account_get: { p_id: accountId(1) },
  account_list: { p_filter: {}, p_limit: 5, p_after: null },
  account_pause: { p_account_id: accountId(1), p_reason: 'holiday', p_until: null },
  account_policy_set: { p_account_id: accountId(1), p_patch: { dms_per_day: 5 } },
  account_resume: { p_account_id: accountId(1) },
  analytics_daily_list: { p_filter: {}, p_limit: 5, p_after: null },
  analytics_days: { p_days: null, p_from: '2026-03-01', p_to: '2026-03-02' },
  analytics_platform: { p_days: 5 },
  analytics_refresh: { p_from: '2026-03-01', p_to: '2026-03-01' },
  analytics_summary: { p_from: '2026-03-01', p_to: '2026-03-02', p_group_by: 'none' },
  audit_list: { p_filter: {}, p_limit: 5, p_after: null },
  dm_act: {
    p_action: 'cancel',
    p_selection: { ids: [accountId(1)] },
    p_args: {},
    p_dry_run: true,
    p_expected_count: null,
  },
  dm_enqueue: { p_rows: [] },
  dm_explain: { p_id: accountId(1) },
  dm_get: { p_id: accountId(1) },
  dm_list: { p_filter: {}, p_limit: 5, p_after: null },
  dm_unsent: { p_limit: 5 },
  history_delete: { p_kind: 'message_attempts', p_limit: 5, p_after: null },
  post_act: {
    p_action: 'cancel',
    p_selection: { ids: [accountId(1)] },
    p_args: {},
    p_dry_run: true,
    p_expected_count: null,
  },
  post_explain: { p_id: accountId(1), p_late_limit_minutes: 360 },
  post_get: { p_id: accountId(1), p_late_limit_minutes: 360 },
  post_list: { p_filter: {}, p_limit: 5, p_after: null },
  post_options_set: { p_post_id: accountId(7), p_patch: {} },
  run_cancel: { p_id: accountId(1), p_requested_by: 'ada' },
  run_get: { p_id: accountId(1) },
  run_list: { p_filter: {}, p_limit: 5, p_after: null },
  sending_pause_set: { p_reason: 'holiday', p_until: null },
};

const placeOf = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The ends of each type, and beyond what anything means. */
const WIDEST: Readonly<Record<string, readonly unknown[]>> = {
  boolean: [null, true, false],
  date: [null, '4713-01-01 BC', '0001-01-01', '5874897-12-31', '-infinity', 'infinity'],
  integer: [null, -(2 ** 31), -1, 0, 2 ** 31 - 1],
  'timestamp with time zone': [null, '4713-01-01 BC', '294276-12-31', '-infinity', 'infinity'],
  uuid: [null, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  text: [
    null,
    '',
    ' ',
    '\u0001',
    '\u{10FFFF}'.repeat(10_000),
    'infinity',
    ...[[1e30], [null], ['infinity', 'x'], ['9999999-01-01', null], {}, [[]], 'a', [1, 2, 3]].map(placeOf),
  ],
  jsonb: [
    null,
    ...[null, 1, 'a', true, [], {}, [null], [1], [[]], [{}]].map((value) => JSON.stringify(value)),
    ...[
      { ids: null },
      { ids: [] },
      { ids: [null] },
      { ids: ['x'] },
      { ids: [{}] },
      { ids: Array(10_001).fill(accountId(1)) },
      { filter: null },
      { filter: { ids: {} } },
      { filter: { status: [[]], created_from: '294277-01-01' } },
      { from: '0000-01-01' },
      { to: '9999999-01-01' },
      { from: 1e30 },
      { reason: {}, actor: [1, null] },
      { send_at: '0000-01-01T00:00:00Z' },
      { send_at: 1e30 },
      { media: [null], mentions: 1 },
      { external_link: {}, as_organization: [] },
      { mentions: [{ name: 1, profile_id: null, is_company: 'yes' }] },
      { dms_per_day: 1e30 },
      { window_start: {}, holidays: { a: 1 } },
      { started_at: 'soon', position: 1e30 },
      { started_at: '294277-01-01' },
    ].map((value) => JSON.stringify(value)),
  ],
};
const RULE = /^(AC|AN|DM|HI|PO|RN|SE)\d{3}$/;

it.each(Object.entries(ASKED))(
  '%s serves the widest arguments, or refuses them by a rule',
  async (name, given) => {
    const [called] = await session.query(
      `select f.proargnames as names, array(select format_type(type, null) from unnest(f.proargtypes) as type) as types
     from pg_proc as f where f.pronamespace = 'public'::regnamespace and f.proname = $1`,
      [name],
    );
    const { names, types } = called as { names: string[]; types: string[] };
    const typeOf = (parameter: string) => types[names.indexOf(parameter)] ?? '';
    const written = (value: unknown): unknown =>
      typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
    const wrong: string[] = [];
    for (const changed of Object.keys(given)) {
      const ends = WIDEST[typeOf(changed)];
      expect(ends, `${changed} ${typeOf(changed)}`).toBeDefined();
      for (const end of ends ?? []) {
        const args = { ...given, [changed]: end };
        const placed = Object.keys(args).map((key, index) => `${key} => $${index + 1}::${typeOf(key)}`);
        await session.query('begin', []);
        try {
          await session.query(
            `select public.${name}(${placed.join(', ')})`,
            Object.values(args).map(written),
          );
        } catch (error) {
          const code = String((error as { code?: string }).code);
          if (!RULE.test(code)) wrong.push(`${code} ${changed} ${String(end).slice(0, 80)}`);
        } finally {
          await session.query('rollback', []);
        }
      }
    }
    expect(wrong).toEqual([]);
  },
);
