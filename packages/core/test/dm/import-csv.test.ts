import { beforeEach, describe, expect, it } from 'vitest';
import { CsvImportError, createCsvQueue, importCsv } from '../../src/dm/index.ts';
import { databaseForFile, makeAccount } from '../support/database.ts';

const db = databaseForFile();

const HEADER = 'account,recipient_id,message';
const ADA = 'ACoAAAda';
const file = (...lines: string[]): string => `${lines.join('\n')}\n`;

beforeEach(async () => {
  await makeAccount(db, 'Ada');
  await makeAccount(db, 'Łukasz, Jr.');
});

const queued = () =>
  db.query(
    `select account.account_name as account, message.recipient_id, message.message, message.priority,
       to_jsonb(message.send_at) #>> '{}' as send_at, message.chat_id, message.dedupe_key, message.campaign_id, message.lead_id
     from public.dm_queue as message
     join public.linkedin_accounts as account on account.id = message.linkedin_account_id
     order by message.position`,
    [],
  );

/** What is wrong with a file, after checking that nothing of it was queued. */
async function problemsOf(text: string): Promise<string[]> {
  try {
    await importCsv(createCsvQueue(db.rpc), text);
  } catch (error) {
    if (!(error instanceof CsvImportError)) throw error;
    expect(await queued()).toEqual([]);
    expect(error.message.split('\n')).toHaveLength(error.problems.length + 1);
    return error.problems.map(({ line, field, problem }) => `${line ?? '-'} ${field ?? '-'}: ${problem}`);
  }
  throw new Error('it was imported');
}

describe('a file that is right', () => {
  it('is queued whole, in its order', async () => {
    const text = file(
      `${HEADER},send_at,priority,dedupe_key,chat_id,campaign_id,lead_id`,
      `Ada,${ADA},"Hi Ada, how are you?",2026-03-02T09:30:00Z,9,key-1,chat-1,00000000-0000-4000-8000-00000000000a,00000000-0000-4000-8000-00000000000b`,
      `"Łukasz, Jr.", ACoAAGrace ,"He said ""hi"" 👋",,,,,,`,
    );
    expect(await importCsv(createCsvQueue(db.rpc), text)).toMatchObject({
      enqueued: 2,
      existing: 0,
      messages: [
        { row: 0, is_new: true },
        { row: 1, is_new: true },
      ],
    });
    expect(await queued()).toEqual([
      {
        account: 'Ada',
        recipient_id: ADA,
        message: 'Hi Ada, how are you?',
        priority: 9,
        send_at: '2026-03-02T09:30:00+00:00',
        chat_id: 'chat-1',
        dedupe_key: 'key-1',
        campaign_id: '00000000-0000-4000-8000-00000000000a',
        lead_id: '00000000-0000-4000-8000-00000000000b',
      },
      {
        account: 'Łukasz, Jr.',
        recipient_id: 'ACoAAGrace',
        message: 'He said "hi" 👋',
        priority: 0,
        send_at: expect.any(String),
        chat_id: null,
        dedupe_key: null,
        campaign_id: null,
        lead_id: null,
      },
    ]);
  });

  it.each([
    { name: 'a byte order mark', text: `\ufeff${HEADER}\nAda,${ADA},Hi\n` },
    { name: 'CRLF', text: `${HEADER}\r\nAda,${ADA},Hi\r\n` },
    { name: 'no line break at its end', text: `${HEADER}\nAda,${ADA},Hi` },
    { name: 'empty lines', text: `\n${HEADER}\n\nAda,${ADA},Hi\n\n\n` },
    { name: 'its columns in another order', text: `message,account,recipient_id\nHi,Ada,${ADA}\n` },
    { name: 'white space around its columns', text: ` account , recipient_id,message \nAda,${ADA},Hi\n` },
    { name: 'everything quoted', text: `"account","recipient_id","message"\n"Ada","${ADA}","Hi"\n` },
    { name: 'line ends of an old Mac', text: `${HEADER}\rAda,${ADA},Hi\r` },
  ])('may have $name', async ({ text }) => {
    expect(await importCsv(createCsvQueue(db.rpc), text)).toMatchObject({ enqueued: 1 });
    expect(await queued()).toMatchObject([{ account: 'Ada', recipient_id: ADA, message: 'Hi' }]);
  });

  it.each(['\n', '\r\n', '\r'])(
    'keeps the lines of a message, as %j or any other, as one kind',
    async (end) => {
      await importCsv(createCsvQueue(db.rpc), `${HEADER}${end}Ada,${ADA},"Hi,${end}${end}bye"${end}`);
      expect(await queued()).toMatchObject([{ message: 'Hi,\n\nbye' }]);
    },
  );

  it('given twice is queued once, where rows have keys', async () => {
    const text = file(`${HEADER},dedupe_key`, `Ada,${ADA},Hi,k1`, `Ada,ACoAAGrace,Hi,k2`);
    const first = await importCsv(createCsvQueue(db.rpc), text);
    const second = await importCsv(createCsvQueue(db.rpc), text);
    expect(second).toMatchObject({ enqueued: 0, existing: 2 });
    expect(second.messages.map(({ id }) => id)).toEqual(first.messages.map(({ id }) => id));
    expect(await queued()).toHaveLength(2);
    const third = await importCsv(createCsvQueue(db.rpc), `${text}Ada,ACoAAHopper,Hi,k3\n`);
    expect(third).toMatchObject({ enqueued: 1, existing: 2 });
  });

  it('may name one key twice: the first row counts', async () => {
    const text = file(`${HEADER},dedupe_key`, `Ada,${ADA},First,k1`, `Ada,${ADA},Second,k1`);
    expect(await importCsv(createCsvQueue(db.rpc), text)).toMatchObject({ enqueued: 1, existing: 1 });
    expect(await queued()).toMatchObject([{ message: 'First' }]);
  });

  it('may have 10,000 rows', async () => {
    const rows = Array.from({ length: 10_000 }, (_, index) => `Ada,ACoAA${index},Hi ${index}`);
    expect(await importCsv(createCsvQueue(db.rpc), file(HEADER, ...rows))).toMatchObject({
      enqueued: 10_000,
    });
  });
});

describe('a file with anything wrong in it is refused whole', () => {
  it('every bad thing is listed, with its line and column, in the order of the file', async () => {
    const problems = await problemsOf(
      file(
        `${HEADER},send_at,priority,dedupe_key,campaign_id`,
        `Ada,${ADA},Hi,,,,`, // good: and yet not queued
        `Nobody,https://linkedin.com/in/ada,Hi {{first_name}},,,,`,
        `Ada,${ADA},   ,tomorrow,10,,`,
        `Ada,${ADA},${'x'.repeat(8_001)},2026-02-30T00:00:00Z,high,${'k'.repeat(201)},7`,
        `Ada,,Hi,2026-03-02T09:30:00,-1,,`,
      ),
    );
    expect(problems).toEqual([
      '3 account: no account has this name: "Nobody"',
      '3 message: has a placeholder that was not filled in: {{first_name}}',
      '3 recipient_id: must be a LinkedIn provider id such as ACoAAB…, not a profile link or name',
      '4 message: is empty',
      '4 priority: must be a whole number from 0 to 9',
      '4 send_at: must be an ISO 8601 instant with a zone, such as 2026-03-01T09:30:00Z',
      '5 campaign_id: must be a UUID',
      '5 dedupe_key: is too long: 201 characters, of 200 at most',
      '5 message: is too long: 8001 characters, of 8000 at most',
      '5 priority: must be a whole number from 0 to 9',
      '5 send_at: must be an ISO 8601 instant with a zone, such as 2026-03-01T09:30:00Z',
      '6 priority: must be a whole number from 0 to 9',
      '6 recipient_id: must be a LinkedIn provider id such as ACoAAB…, not a profile link or name',
      '6 send_at: must be an ISO 8601 instant with a zone, such as 2026-03-01T09:30:00Z',
    ]);
  });

  it.each([
    { name: 'LF', end: '\n' },
    { name: 'CRLF', end: '\r\n' },
    { name: 'CR', end: '\r' },
  ])('a row’s line is where it begins, after fields of several lines ($name)', async ({ end }) => {
    const text = [
      HEADER, // 1
      `Ada,${ADA},"one`, // 2
      'two',
      'three"',
      '', // 5
      `Nobody,${ADA},Hi`, // 6
      `Nobody,${ADA},"four`, // 7
      'five"',
      `Nobody,${ADA},Hi`, // 9
    ].join(end);
    expect(await problemsOf(text)).toEqual(
      [6, 7, 9].map((line) => `${line} account: no account has this name: "Nobody"`),
    );
  });

  it('an account’s name is taken as it stands: no other case, no white space', async () => {
    expect(await problemsOf(file(HEADER, `ada,${ADA},Hi`, ` Ada,${ADA},Hi`))).toEqual([
      '2 account: no account has this name: "ada"',
      '3 account: no account has this name: " Ada"',
    ]);
  });

  it('two accounts of one name: nobody guesses which, and nothing is queued', async () => {
    await makeAccount(db, 'twin-1');
    await makeAccount(db, 'twin-2');
    await db.query(
      `update public.linkedin_accounts set account_name = 'Twin' where account_name like 'twin-%'`,
      [],
    );
    expect(await problemsOf(file(HEADER, `Ada,${ADA},Hi`, `Twin,${ADA},Hi`))).toEqual([
      '3 account: 2 accounts have this name: "Twin"',
    ]);
  });

  it.each([
    { name: 'nothing', text: '', problems: ['- -: the file has no rows'] },
    { name: 'white space', text: '\n\n', problems: ['- -: the file has no rows'] },
    { name: 'a header alone', text: file(HEADER), problems: ['- -: the file has no rows'] },
    {
      name: 'a column missing',
      text: file('account,message', 'Ada,Hi'),
      problems: ['1 recipient_id: this column is missing'],
    },
    {
      name: 'a column twice',
      text: file(`${HEADER},message`, `Ada,${ADA},Hi,Ho`),
      problems: ['1 message: this column stands twice'],
    },
    {
      name: 'a column that nobody knows',
      text: file(`${HEADER},first_name`, `Ada,${ADA},Hi,Ada`),
      problems: ['1 first_name: this column is not known'],
    },
    {
      name: 'no header',
      text: file(`Ada,${ADA},Hi`),
      problems: [
        '1 account: this column is missing',
        '1 recipient_id: this column is missing',
        '1 message: this column is missing',
        '1 Ada: this column is not known',
        `1 ${ADA}: this column is not known`,
        '1 Hi: this column is not known',
      ],
    },
    {
      name: 'semicolons',
      text: file(HEADER.replaceAll(',', ';'), `Ada;${ADA};Hi`),
      problems: ['1 -: the columns are separated by semicolons; they must be separated by commas'],
    },
    {
      name: 'tabs',
      text: file(HEADER.replaceAll(',', '\t'), `Ada\t${ADA}\tHi`),
      problems: ['1 -: the columns are separated by tabs; they must be separated by commas'],
    },
    {
      name: 'a field too few',
      text: file(HEADER, `Ada,${ADA},Hi`, `Ada,${ADA}`),
      problems: ['3 -: the row has more or fewer columns than the header'],
    },
    {
      name: 'a comma that was not quoted',
      text: file(HEADER, `Ada,${ADA},Hi, Ada`),
      problems: ['2 -: the row has more or fewer columns than the header'],
    },
    {
      name: 'a quote that is not closed',
      text: `${HEADER}\nAda,${ADA},"Hi`,
      problems: ['2 -: a quote is opened and never closed'],
    },
    {
      name: 'a quote within a field',
      text: file(HEADER, `Ada,${ADA},Hi "Ada"`),
      problems: ['2 -: a quote stands within a field: the field must be in quotes, and the quote doubled'],
    },
    {
      name: 'something after a field in quotes',
      text: file(HEADER, `Ada,${ADA},"Hi "Ada`),
      problems: [
        '2 -: something follows the quote that ends a field: a quote within a field must be doubled',
      ],
    },
    // What was no UTF-8 has become U+FFFD where the file was read: it is never sent to anyone.
    {
      name: 'characters that could not be read',
      text: file(HEADER, `Ada,${ADA},Hi`, `Ada,${ADA},Gr\ufffd\ufffd Gott`),
      problems: ['3 message: has characters that cannot be read: save the file as UTF-8'],
    },
    {
      name: 'a NUL',
      text: file(HEADER, `Ada,${ADA},a\0b`),
      problems: ['2 message: has characters that cannot be read: save the file as UTF-8'],
    },
  ])('$name', async ({ text, problems }) => {
    expect(await problemsOf(text)).toEqual(problems);
  });

  it('a file in Latin-1, read as UTF-8, is refused', async () => {
    const bytes = Buffer.from(file(HEADER, `Ada,${ADA},Grüß Gott`), 'latin1');
    expect(await problemsOf(bytes.toString('utf8'))).toEqual([
      '2 message: has characters that cannot be read: save the file as UTF-8',
    ]);
  });

  it('10,001 rows are too many', async () => {
    const rows = Array.from({ length: 10_001 }, (_, index) => `Ada,ACoAA${index},Hi`);
    expect(await problemsOf(file(HEADER, ...rows))).toEqual([
      '- -: the file has 10001 rows, of 10000 at most',
    ]);
  });
});
