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

/** What is wrong with a file. */
async function importProblems(content: string | Uint8Array): Promise<string[]> {
  const refusal = await importCsv(createCsvQueue(db.rpc), content).catch((error: unknown) => error);
  if (!(refusal instanceof CsvImportError)) throw refusal;
  return refusal.problems.map(({ line, field, problem }) => `${line ?? '-'} ${field ?? '-'}: ${problem}`);
}

/** What is wrong with a file, after checking that nothing of it was queued. */
async function problemsOf(content: string | Uint8Array): Promise<string[]> {
  try {
    await importCsv(createCsvQueue(db.rpc), content);
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

  const ROW = `Ada,${ADA},Hi`;
  const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');
  const plain = `${HEADER}\n${ROW}\n`;

  it.each([
    { name: 'a last line of commas', content: `${HEADER}\n${ROW}\n,,\n` },
    { name: 'lines of commas anywhere, of any width', content: `,\n${HEADER}\n,,,,\n${ROW}\n" ",""\n` },
    { name: 'columns at its end without a name and a value', content: `${HEADER},,\n${ROW},,\n` },
    { name: 'such a column in its midst', content: `account,,recipient_id,message\nAda,,${ADA},Hi\n` },
    { name: 'empty cells behind its columns', content: `${HEADER}\n${ROW},,,\n` },
    { name: 'sep=, first', content: `sep=,\r\n${HEADER}\r\n${ROW}\r\n` },
    { name: 'sep=, padded and quoted', content: `"SEP=,",,\n${HEADER}\n${ROW}\n` },
    { name: 'sep=; first', content: `sep=;\n${plain.replaceAll(',', ';')}` },
    { name: 'sep= and a tab', content: `sep=\t\n${plain.replaceAll(',', '\t')}` },
    { name: 'a byte order mark before sep=', content: `\ufeffsep=,\n${plain}` },
    { name: 'two byte order marks', content: `\ufeff\ufeff${plain}` },
    { name: 'UTF-8 with a byte order mark, as bytes', content: Buffer.from(`\ufeff${plain}`) },
    { name: 'UTF-16 with a byte order mark', content: utf16(`\ufeff${plain}`) },
    { name: 'UTF-16 of the other order', content: utf16(`\ufeff${plain}`).swap16() },
    { name: 'UTF-16 without a mark', content: utf16(plain) },
    {
      name: 'UTF-16 with tabs, as Excel’s Unicode text',
      content: utf16(`\ufeff${plain.replaceAll(',', '\t')}`),
    },
    { name: 'line ends of two CRs and an LF', content: plain.replaceAll('\n', '\r\r\n') },
  ])('made by Excel may have $name', async ({ content }) => {
    expect(await importCsv(createCsvQueue(db.rpc), content)).toMatchObject({ enqueued: 1 });
    expect(await queued()).toMatchObject([{ account: 'Ada', recipient_id: ADA, message: 'Hi' }]);
  });

  it('in UTF-16 keeps what is beyond ASCII', async () => {
    await importCsv(createCsvQueue(db.rpc), utf16(`\ufeff${HEADER}\nAda,${ADA},Grüß Gott 👋\n`));
    expect(await queued()).toMatchObject([{ message: 'Grüß Gott 👋' }]);
  });

  it.each([
    { given: '2026-03-02T09:30:00.1234567Z', sent: '2026-03-02T09:30:00.123456+00:00' },
    { given: '2026-03-02T09:30:00.000000000Z', sent: '2026-03-02T09:30:00+00:00' },
    { given: '2026-03-02t09:30:00z', sent: '2026-03-02T09:30:00+00:00' },
    { given: ' 2026-03-02 09:30:00.5 +01:00 ', sent: '2026-03-02T08:30:00.5+00:00' },
  ])('may write the instant $given', async ({ given, sent }) => {
    await importCsv(createCsvQueue(db.rpc), file(`${HEADER},send_at`, `${ROW},${given}`));
    expect(await queued()).toMatchObject([{ send_at: sent }]);
  });

  it.each([
    { name: 'letters and their marks apart', stored: 'Zo\u00eb Ng', given: 'Zoe\u0308 Ng' },
    { name: 'them together', stored: 'Zoe\u0308 Ng', given: 'Zo\u00eb Ng' },
    { name: 'a no-break space', stored: 'Zoe Ng', given: 'Zoe\u00a0Ng' },
    { name: 'a narrow one', stored: 'Zoe Ng', given: 'Zoe\u202fNg' },
    { name: 'two spaces', stored: 'Zoe Ng', given: 'Zoe  Ng' },
    { name: 'one space where the account has two', stored: 'Zoe \u00a0Ng', given: 'Zoe Ng' },
  ])('may write an account’s name with $name', async ({ stored, given }) => {
    const id = await makeAccount(db, 'zoe');
    await db.query('update public.linkedin_accounts set account_name = $1 where account_name = $2', [
      stored,
      'zoe',
    ]);
    expect(id).toBeDefined();
    await importCsv(createCsvQueue(db.rpc), file(HEADER, `${given},${ADA},Hi`));
    expect(await queued()).toMatchObject([{ account: stored }]);
  });

  it('means the account that is called exactly so, where another differs by a space alone', async () => {
    await makeAccount(db, 'Zoe Ng');
    await makeAccount(db, 'Zoe  Ng');
    await importCsv(createCsvQueue(db.rpc), file(HEADER, `Zoe  Ng,${ADA},Hi`));
    expect(await queued()).toMatchObject([{ account: 'Zoe  Ng' }]);
    expect(await importProblems(file(HEADER, `Zoe\u00a0Ng,${ADA},Hi`))).toEqual([
      '2 account: 2 accounts have this name: "Zoe\u00a0Ng"',
    ]);
  });

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

  it('may name one key twice, for one message', async () => {
    const text = file(`${HEADER},dedupe_key`, `Ada,${ADA},First,k1`, `Ada,${ADA},First,k1`);
    expect(await importCsv(createCsvQueue(db.rpc), text)).toMatchObject({
      enqueued: 1,
      existing: 1,
      notes: [],
    });
    expect(await queued()).toMatchObject([{ message: 'First' }]);
  });

  it('is told of what it says to somebody twice, with the lines, or the message', async () => {
    const text = file(
      HEADER,
      `Ada,${ADA},"Hi`,
      `you"`,
      `Ada,ACoAAGrace,Hi`,
      `"Łukasz, Jr.",${ADA},"Hi`,
      `you"`,
    );
    const first = await importCsv(createCsvQueue(db.rpc), text);
    expect(first).toMatchObject({
      enqueued: 3,
      repeated: 1,
      notes: [
        { line: 5, field: 'message', problem: 'says the same to the same person as another row: line 2' },
      ],
    });
    const second = await importCsv(createCsvQueue(db.rpc), file(HEADER, `Ada,ACoAAGrace,Hi`));
    const twin = first.messages[1]?.id;
    expect(second.notes).toEqual([
      {
        line: 2,
        field: 'message',
        problem: `says the same to the same person as a message that waits: ${twin}`,
      },
    ]);
  });

  it('may mean what looks like a placeholder', async () => {
    const text = file(
      `${HEADER},is_literal`,
      `Ada,${ADA},Hi {{name}},TRUE`,
      `Ada,ACoAAGrace,Hi,`,
      `Ada,ACoAAHopper,Hi,false`,
    );
    expect(await importCsv(createCsvQueue(db.rpc), text)).toMatchObject({ enqueued: 3 });
    expect(await queued()).toMatchObject([{ message: 'Hi {{name}}' }, { message: 'Hi' }, { message: 'Hi' }]);
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
      '3 message: has a placeholder that was not filled in: {{first_name}}; if it is meant, set is_literal',
      '3 recipient_id: must be a LinkedIn provider id such as ACoAAB…, not a profile link or name',
      '4 message: is empty, or shows nothing',
      '4 priority: must be a whole number from 0 to 9',
      '4 send_at: must be an ISO 8601 instant with a zone, such as 2026-03-01T09:30:00Z',
      '5 campaign_id: must be a UUID',
      '5 dedupe_key: is too long: 201 characters, of 200 at most',
      '5 message: is too long: 8001 characters, of 8000 at most; an emoji counts as two',
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

  it('a key of two messages is named with the line of its twin', async () => {
    const text = file(
      `${HEADER},dedupe_key`,
      `Ada,${ADA},"Hi`,
      `you",k1`,
      `Ada,ACoAAGrace,Hi,k2`,
      `Ada,ACoAAGrace,Hi,k1`,
    );
    expect(await problemsOf(text)).toEqual([
      '5 dedupe_key: is that of another row, with another recipient and text: line 2',
    ]);
  });

  it('and so is a key that is known, with its message', async () => {
    const [message] = (
      await importCsv(createCsvQueue(db.rpc), file(`${HEADER},dedupe_key`, `Ada,${ADA},Hi,k1`))
    ).messages;
    const text = file(`${HEADER},dedupe_key`, `Ada,ACoAAGrace,Hi,k2`, `Ada,ACoAAGrace,Hi,k1`);
    await expect(importCsv(createCsvQueue(db.rpc), text)).rejects.toMatchObject({
      problems: [
        {
          line: 3,
          field: 'dedupe_key',
          problem: `is that of a message that was queued before, with another recipient: ${message?.id}`,
        },
      ],
    });
    expect(await queued()).toHaveLength(1);
  });

  it('is_literal is true or false', async () => {
    expect(await problemsOf(file(`${HEADER},is_literal`, `Ada,${ADA},Hi {{x}},yes`))).toEqual([
      '2 is_literal: must be true or false',
      '2 message: has a placeholder that was not filled in: {{x}}; if it is meant, set is_literal',
    ]);
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
    {
      name: 'a value in a column without a name',
      text: file(`${HEADER},,`, `Ada,${ADA},Hi,,`, `Ada,${ADA},Hi,,oops`),
      problems: ['3 -: column 5 has a value, and no name in the header'],
    },
    {
      name: 'a value behind the columns',
      text: file(HEADER, `Ada,${ADA},Hi,,`, `Ada,${ADA},Hi,,oops`),
      problems: ['3 -: the row has more or fewer columns than the header'],
    },
    {
      name: 'something wrong behind sep=, whose line counts',
      text: file('sep=,', HEADER, ',,', `Nobody,${ADA},Hi`),
      problems: ['4 account: no account has this name: "Nobody"'],
    },
    {
      name: 'sep= and other separators than it says',
      text: file('sep=;', HEADER, `Ada,${ADA},Hi`),
      problems: ['2 -: the first line says that semicolons separate the columns, and commas do'],
    },
    {
      name: 'LinkedIn’s notes above its header',
      text: file('Notes:', '"When exporting, you may notice"', '', HEADER, `Ada,${ADA},Hi`),
      problems: ['1 -: the header is on line 4: delete what stands above it'],
    },
    {
      name: 'commas alone',
      text: file(',,', ',,'),
      problems: ['- -: the file has no rows'],
    },
    {
      name: 'a key that Excel has cut short',
      text: file(`${HEADER},dedupe_key`, `Ada,${ADA},Hi,1.23457E+15`),
      problems: ['2 dedupe_key: is a number that Excel has cut short: format its column as text'],
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

  it.each([
    {
      name: 'an Excel workbook',
      bytes: Buffer.from('PK\x03\x04rest', 'latin1'),
      problem: 'the file is an Excel workbook: save it as CSV UTF-8',
    },
    {
      name: 'an older one',
      bytes: Buffer.from('d0cf11e0a1b11ae100', 'hex'),
      problem: 'the file is an Excel workbook: save it as CSV UTF-8',
    },
    {
      name: 'UTF-32',
      bytes: Buffer.from('fffe000061000000', 'hex'),
      problem: 'the file is UTF-32: save it as UTF-8',
    },
    {
      name: 'UTF-32 of the other order',
      bytes: Buffer.from('0000feff00000061', 'hex'),
      problem: 'the file is UTF-32: save it as UTF-8',
    },
  ])('$name is called by its name', async ({ bytes, problem }) => {
    expect(await problemsOf(bytes)).toEqual([`- -: ${problem}`]);
  });

  it('UTF-16 that breaks off within a character is refused', async () => {
    const bytes = Buffer.from(`\ufeff${file(HEADER, `Ada,${ADA},Hi`)}`, 'utf16le');
    expect(await problemsOf(Buffer.concat([bytes, Buffer.from([0x41])]))).toEqual([
      '- -: the file breaks off in the middle of a character: save it again',
    ]);
  });

  it('more than one call of the queue takes is said before it is asked', async () => {
    const queue = { ...createCsvQueue(db.rpc), bytesMax: 1_000_000 };
    const rows = Array.from({ length: 1_000 }, (_, index) => `Ada,ACoAA${index},${'x'.repeat(1_000)}`);
    const refusal = importCsv(
      { ...queue, enqueue: () => Promise.reject(new Error('asked')) },
      file(HEADER, ...rows),
    );
    await expect(refusal).rejects.toMatchObject({
      problems: [
        {
          line: null,
          field: null,
          problem: 'the file makes 1.1 MB of messages, of 1.0 MB at most in one call: split it in 2',
        },
      ],
    });
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
