/** No line of any run carries a message’s text, a key or a token, whatever goes wrong. */
import type { Action } from '@revos/unipile-sandbox';
import { describe, expect, it } from 'vitest';
import { createCsvQueue, importCsv } from '../../src/dm/index.ts';
import { createSqlRpc } from '../../src/rpc/index.ts';
import { campaignOf } from '../support/campaign.ts';
import { databaseForFile, unavailable } from '../support/database.ts';

const db = databaseForFile();

const TEXT = 'canary-of-a-message-4b1d ';
const KEY = 'canary-of-a-key-9e2c';

const refused = (status: number, type: string): Action => ({
  kind: 'status',
  status,
  type: `errors/${type}`,
  effect: false,
});

const FAULTS: ReadonlyArray<{ name: string; action: Action }> = [
  { name: 'lost answers', action: { kind: 'drop_answer' } },
  { name: 'broken answers', action: { kind: 'malformed_body' } },
  { name: 'pages of HTML', action: { kind: 'html_body', effect: true } },
  { name: 'refusals', action: refused(400, 'invalid_parameters') },
  { name: 'an account signed out', action: refused(401, 'disconnected_account') },
  { name: 'a refused key', action: refused(401, 'missing_credentials') },
  { name: 'limits', action: refused(429, 'too_many_requests') },
  { name: 'errors of Unipile', action: refused(500, 'unexpected_error') },
];

describe('the log of a run', () => {
  it.each(FAULTS)('with $name', async ({ action }) => {
    let calls = 0;
    const campaign = await campaignOf(db, {
      messages: { ada: 3, ben: 3 },
      text: TEXT,
      apiKey: KEY,
      sandbox: {
        apiKey: KEY,
        accounts: [{ id: 'ada' }, { id: 'ben' }],
        faults: [{ match: { operation: 'send', account_id: 'ada' }, action, times: null }],
      },
      // The database is in trouble too: every call fails once, after it was applied.
      async intercept(name, next) {
        const answer = await next();
        calls += 1;
        if (name.startsWith('dm_') && calls % 3 === 0) throw unavailable(name);
        return answer;
      },
    });
    await campaign.run();
    expect(campaign.delivered().some((text) => text.startsWith(TEXT))).toBe(true);
    const lines = campaign.system.log.lines.join('');
    expect(campaign.system.log.lines.length).toBeGreaterThan(0);
    expect(lines).not.toContain(TEXT.trim());
    expect(lines).not.toContain(KEY);
  });

  it('with a result that the database refuses', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 1 }, text: TEXT });
    campaign.system.services.unipile.sendMessage = async () => ({
      ok: true,
      // No integer of the database's: the whole result is refused.
      httpStatus: 2 ** 40,
      messageId: 'm',
      chatId: null,
    });
    await campaign.run();
    expect(campaign.system.log.messages()).toContain('result refused, its attempt becomes unknown');
    expect(campaign.system.log.lines.join('')).not.toContain(TEXT.trim());
  });

  it('with a row that the database quotes in its error', async () => {
    // As a constraint that a result breaks: Postgres says which row, whole.
    const quoting = createSqlRpc((text, values) =>
      text.startsWith('select public.dm_record')
        ? db.query(`update public.dm_queue set error = repeat('x', 501)`, [])
        : db.query(text, values),
    );
    const campaign = await campaignOf(db, {
      messages: { ada: 1 },
      text: TEXT,
      intercept: (name, next) => (name === 'dm_record' ? quoting.call(name) : next()),
    });
    await campaign.run();
    expect(campaign.system.log.messages()).toContain('result refused, its attempt becomes unknown');
    expect(campaign.system.log.lines.join('')).not.toContain(TEXT.trim());
  });

  it('a refused file is told by line and column: its error quotes no message', async () => {
    const campaign = await campaignOf(db, { messages: { ada: 0 } });
    const text = `account,recipient_id,message\nada,not-an-id,${TEXT.trim()}\n`;
    await expect(importCsv(createCsvQueue(campaign.rpc), text)).rejects.toThrow(/line 2, recipient_id/);
    await importCsv(createCsvQueue(campaign.rpc), text).catch((error: Error) => {
      expect(`${error.message}${JSON.stringify(error)}`).not.toContain(TEXT.trim());
    });
  });
});
