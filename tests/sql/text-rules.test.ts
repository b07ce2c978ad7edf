/**
 * What a text must be to be sent: one rule set for messages and posts, by SQL, dm_enqueue, and a
 * CSV file.
 */
import { CsvImportError, createCsvQueue, importCsv } from '@revos/core/dm';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { message, openAccount, refusal } from '../support/builders.ts';
import { openSession, type Session } from '../support/database.ts';
import { BLANKS, FILLED, SHOWN, type TextRule, UNFILLED } from '../support/text-cases.ts';

const NOW = new Date('2026-03-02T10:00:00Z');
const CODES: Readonly<Record<TextRule, string>> = {
  empty: 'DM003',
  too_long: 'DM004',
  placeholder: 'DM005',
  unreadable: 'DM014',
};
let session: Session;
let account: string;

beforeAll(async () => {
  session = await openSession(NOW);
});
afterAll(() => session?.close());
beforeEach(async () => {
  await session.reset();
  account = await openAccount(session, 1);
});

/** The rule that a text breaks, by every way in; they must agree. Null if it breaks none. */
async function brokenBy(text: string, isLiteral = false): Promise<string | null> {
  const told = {
    insert: await byInsert(text, isLiteral),
    enqueue: await byEnqueue(text, isLiteral),
    csv: await byCsv(text, isLiteral),
  };
  const [first, ...others] = Object.values(told);
  expect({ text, told }).toEqual({
    text,
    told: Object.fromEntries(Object.keys(told).map((way) => [way, first])),
  });
  expect(others).toHaveLength(2);
  return first ?? null;
}

async function byInsert(text: string, isLiteral: boolean): Promise<string | null> {
  try {
    await session.query(
      `insert into dm_queue (linkedin_account_id, recipient_id, message, is_literal) values ($1, 'ACoAA1', $2, $3)`,
      [account, text, isLiteral],
    );
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

/** The code of the rule whose words a row's problem has. */
const codeOf = (problem: string): string => {
  if (problem.startsWith('is empty')) return CODES.empty;
  if (problem.startsWith('is too long')) return CODES.too_long;
  if (problem.startsWith('has a placeholder')) return CODES.placeholder;
  if (problem.startsWith('has characters that c')) return CODES.unreadable;
  throw new Error(problem);
};

async function byEnqueue(text: string, isLiteral: boolean): Promise<string | null> {
  try {
    await session.dm.enqueue([message(account, { message: text, is_literal: isLiteral })]);
    return null;
  } catch (error) {
    const [problem] = JSON.parse((error as { detail: string }).detail) as {
      field: string;
      problem: string;
    }[];
    expect(problem?.field).toBe('message');
    return codeOf(problem?.problem ?? '');
  }
}

async function byCsv(text: string, isLiteral: boolean): Promise<string | null> {
  try {
    const quoted = `"${text.replaceAll('"', '""')}"`;
    await importCsv(
      createCsvQueue(session.rpc),
      `account,recipient_id,message,is_literal\nAccount 1,ACoAA1,${quoted},${isLiteral}\n`,
    );
    return null;
  } catch (error) {
    if (!(error instanceof CsvImportError)) throw error;
    expect(error.problems).toHaveLength(1);
    return codeOf(error.problems[0]?.problem ?? '');
  }
}

/** Why a post with this text cannot be published. */
async function ofPost(text: string, isLiteral = false): Promise<string | null> {
  const [row] = await session.query(`select reason from post_text_problem($1, '[]', null, $2)`, [
    text,
    isLiteral,
  ]);
  return row?.reason as string | null;
}

describe('a text that shows nothing is empty', () => {
  it.each(BLANKS)('$name', async ({ text }) => {
    expect(await brokenBy(text)).toBe('DM003');
    expect(await brokenBy(` ${text}\n${text}\u200b`)).toBe('DM003');
    expect(await ofPost(text)).toBe('post_empty');
  });

  it('and one that shows anything is not', async () => {
    for (const text of SHOWN) {
      expect(await brokenBy(text)).toBeNull();
      expect(await ofPost(text)).toBeNull();
    }
  });
});

describe('what a template left', () => {
  it.each(UNFILLED)('%s', async (text) => {
    expect(await brokenBy(text)).toBe('DM005');
    expect(await ofPost(text)).toBe('post_placeholder');
  });

  it('passes where its author says that it is meant', async () => {
    for (const text of UNFILLED) {
      expect(await brokenBy(text, true)).toBeNull();
      expect(await ofPost(text, true)).toBeNull();
    }
    expect(await brokenBy(' \u200b', true)).toBe('DM003');
  });

  it('is not seen in ordinary texts', async () => {
    for (const text of FILLED) {
      expect([text, await brokenBy(text)]).toEqual([text, null]);
      expect([text, await ofPost(text)]).toEqual([text, null]);
    }
  });

  it('is looked at again when is_literal is taken away', async () => {
    const [row] = await session.query(
      `insert into dm_queue (linkedin_account_id, recipient_id, message, is_literal) values ($1, 'ACoAA1', 'Hi {{x}}', true) returning id`,
      [account],
    );
    expect(
      await refusal(session.query(`update dm_queue set is_literal = false where id = $1`, [row?.id])),
    ).toEqual({ code: 'DM005', field: 'message' });
  });

  it('stands in the audit trail where it is meant', async () => {
    await session.rpc.call('dm_enqueue', {
      rows: [
        message(account, { message: 'Hi {{x}}', is_literal: true }),
        message(account, { recipient_id: 'ACoAA2' }),
      ],
      actor: 'ada',
    });
    expect(await session.query('select action, params from audit_log', [])).toEqual([
      { action: 'message.enqueue', params: { enqueued: 2, existing: 0, literal: 1 } },
    ]);
  });
});

describe('the length of a text is that of LinkedIn: UTF-16 units', () => {
  it.each([
    { text: 'é'.repeat(8_000), code: null },
    { text: 'é'.repeat(8_001), code: 'DM004' },
    { text: '😀'.repeat(4_000), code: null },
    { text: `${'😀'.repeat(4_000)}.`, code: 'DM004' },
    { text: '😀'.repeat(4_001), code: 'DM004' },
  ])('a message of $text.length: $code', async ({ text, code }) => {
    expect(await brokenBy(text)).toBe(code);
  });

  it.each([
    { text: 'é'.repeat(3_000), reason: null },
    { text: 'é'.repeat(3_001), reason: 'post_too_long' },
    { text: '😀'.repeat(1_500), reason: null },
    { text: '😀'.repeat(1_501), reason: 'post_too_long' },
  ])('a post of $text.length: $reason', async ({ text, reason }) => {
    expect(await ofPost(text)).toBe(reason);
  });
});

describe('characters that were lost before', () => {
  it('are refused in a text, a key and a chat', async () => {
    expect(await brokenBy('Gr\ufffd\ufffd Gott')).toBe('DM014');
    expect(await ofPost('Gr\ufffd\ufffd Gott')).toBe('post_unreadable');
    for (const field of ['dedupe_key', 'chat_id']) {
      const insert = session.query(
        `insert into dm_queue (linkedin_account_id, recipient_id, message, ${field}) values ($1, 'ACoAA1', 'Hello', $2)`,
        [account, 'k\ufffd'],
      );
      expect(await refusal(insert)).toEqual({ code: 'DM014', field });
      await expect(session.dm.enqueue([message(account, { [field]: 'k\ufffd' })])).rejects.toMatchObject({
        code: 'DM021',
      });
    }
  });
});

describe('an id that no message reaches', () => {
  it.each([
    { id: 'ACwAAB1', wanted: /Sales Navigator.*ACo/ },
    { id: 'AEMAAB1', wanted: /Recruiter.*ACo/ },
  ])('$id is refused, and says which is wanted', async ({ id, wanted }) => {
    const insert = session.query(
      `insert into dm_queue (linkedin_account_id, recipient_id, message) values ($1, $2, 'Hello')`,
      [account, id],
    );
    await expect(insert).rejects.toMatchObject({ code: 'DM002', message: expect.stringMatching(wanted) });
    await expect(session.dm.enqueue([message(account, { recipient_id: id })])).rejects.toMatchObject({
      code: 'DM021',
      detail: expect.stringMatching(wanted),
    });
  });

  it('also as a mention of a post', async () => {
    const [problem] = await session.query(
      `select code, problem from post_options_problem('{"mentions": [{"name": "Ann", "profile_id": "ACwAAB1"}]}')`,
      [],
    );
    expect(problem).toEqual({ code: 'PO004', problem: expect.stringMatching(/Sales Navigator/) });
  });

  it('and a mention whose name shows nothing is none', async () => {
    const [problem] = await session.query(
      `select code from post_options_problem(jsonb_build_object('mentions', jsonb_build_array(jsonb_build_object('name', $1::text, 'profile_id', 'ACoAA1'))))`,
      ['\u200b'],
    );
    expect(problem).toEqual({ code: 'PO004' });
  });
});
