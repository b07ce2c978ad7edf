/** What callers pass to the SQL functions, whatever it is: nothing of it is ever run as SQL. */
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
