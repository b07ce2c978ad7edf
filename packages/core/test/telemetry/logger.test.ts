import { execFile } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { RpcError } from '../../src/rpc/index.ts';
import { captureLog } from '../support/log.ts';

const CANARY = 'canary-7f3a';

describe('createLogger', () => {
  it('writes a line of JSON with its name, its time in ISO and what it was given', () => {
    const { logger, lines } = captureLog();
    logger.info({ run_id: 'r1', count: 3 }, 'done');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      name: 'test',
      run_id: 'r1',
      count: 3,
      msg: 'done',
      level: 30,
    });
    expect(JSON.parse(lines[0] ?? '').time).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/);
  });

  it('has written what it said, in order, where the process is killed the moment after', async () => {
    const logger = path.resolve(import.meta.dirname, '../../src/telemetry/logger.ts');
    const program = `
      const { createLogger } = await import(${JSON.stringify(logger)});
      const logger = createLogger('test', 'info');
      for (let n = 1; n <= 20; n += 1) logger.info(String(n));
      process.kill(process.pid, 'SIGKILL');`;
    const written = await new Promise<string>((resolve) => {
      execFile(process.execPath, ['--input-type=module', '-e', program], (_error, stdout) => resolve(stdout));
    });
    const said = written
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { msg: string }).msg);
    expect(said).toEqual(Array.from({ length: 20 }, (_, index) => String(index + 1)));
  });

  it.each([
    { level: 'warn', count: 2 },
    { level: 'silent', count: 0 },
  ])('at the level $level writes $count of four lines', ({ level, count }) => {
    const { logger, lines } = captureLog(level);
    logger.debug('a');
    logger.info('b');
    logger.warn('c');
    logger.error('d');
    expect(lines).toHaveLength(count);
  });

  it.each([
    'authorization',
    'apikey',
    'api_key',
    'token',
    'secret',
    'password',
    'message_text',
    'text',
    'content',
  ])('redacts %s, at the top, one and two levels down', (key) => {
    const { logger, lines } = captureLog();
    logger.info({ [key]: CANARY, one: { [key]: CANARY, two: { [key]: CANARY } } }, 'said');
    logger.child({ scope: 1 }).info({ request: { [key]: CANARY } }, 'said');
    expect(lines.join('')).not.toContain(CANARY);
    expect(lines.join('')).toContain('[redacted]');
  });

  it.each([
    { name: 'headers of a request', line: { req: { headers: { authorization: CANARY, cookie: CANARY } } } },
    { name: 'a signature', line: { headers: { 'webhook-signature': CANARY } } },
    { name: 'an API key', line: { headers: { 'x-api-key': CANARY } } },
  ])('redacts $name', ({ line }) => {
    const { logger, lines } = captureLog();
    logger.info(line, 'said');
    expect(lines.join('')).not.toContain(CANARY);
  });

  it('tells of an error of the database what went wrong, and not the row that it quotes', () => {
    const { logger, lines } = captureLog();
    const cause = Object.assign(new Error('new row violates check constraint'), {
      code: '23514',
      detail: `Failing row contains (${CANARY}).`,
    });
    logger.error(
      { err: new RpcError('bug', 'dm_record', '23514', cause.message, cause.detail, { cause }) },
      'refused',
    );
    expect(lines.join('')).toContain('23514');
    expect(lines.join('')).not.toContain(CANARY);
  });

  it.each([
    { name: 'a row in its detail', error: Object.assign(new Error('no'), { code: '23514', detail: CANARY }) },
    {
      name: 'a value in its text',
      error: Object.assign(new Error(`no uuid: "${CANARY}"`), { code: '22P02' }),
    },
    {
      name: 'a command with its password',
      error: Object.assign(new Error('no'), { command: { args: [CANARY] } }),
    },
    { name: 'such an error as its cause', error: new Error('no', { cause: new Error(CANARY) }) },
    { name: 'what a parser read', error: new SyntaxError(`"${CANARY}" is not valid JSON`) },
    { name: 'a name that is none', error: Object.assign(new Error('no'), { name: `of ${CANARY}` }) },
    { name: 'something thrown that is no error', error: CANARY },
  ])('tells of an error with $name its type and its place alone', ({ error }) => {
    const { logger, lines } = captureLog();
    logger.error({ err: error }, 'failed');
    logger.error({ err: error });
    if (error instanceof Error) logger.error(error);
    expect(lines[0]).toContain('"err":{"type":"');
    expect(lines.join('')).not.toContain(CANARY);
  });

  it('tells of any other error what it says, its code, its kind and its frames, once', () => {
    const { logger, lines } = captureLog();
    const error = new TypeError('x is not a function', {
      cause: Object.assign(new Error(), { code: 'EPIPE' }),
    });
    logger.error({ err: error }, 'failed');
    const { err } = JSON.parse(lines[0] ?? '') as { err: Record<string, string> };
    expect(err).toMatchObject({
      type: 'TypeError',
      message: 'x is not a function',
      cause: { code: 'EPIPE' },
    });
    expect(err.stack).toMatch(/^ {4}at .*logger\.test\.ts/);
    expect(lines[0]?.match(/x is not a function/g)).toHaveLength(1);
  });

  it('cuts a secret that it knows out of whatever quotes it', () => {
    const secrets = ['sb_secret_"canary"', 'short'];
    const { logger, lines } = captureLog('trace', { secrets });
    const quoting = new TypeError(`Headers.set: "${secrets[0]}" is an invalid header value`);
    logger
      .child({ scope: secrets[0] })
      .fatal({ err: quoting, list: [secrets[0]] }, `with ${secrets[0]}, short`);
    expect(lines.join('')).not.toContain('canary');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ scope: '[redacted]', msg: 'with [redacted], short' });
  });
});
