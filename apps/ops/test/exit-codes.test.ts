/** How the CLI ends, and where it writes. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runOps, startOps } from './support/ops.ts';

const TOKEN = 'ops-token-0123456789';
const ID = '00000000-0000-4000-8000-000000000001';

/** Answers as told by the path: the API in good and in bad times, and what is not the API. */
let server: Server;
let url: string;

const RUN = {
  id: ID,
  job: 'dm-queue',
  status: 'succeeded',
  trigger: 'ops',
  requested_at: '2026-11-24T10:00:00Z',
  started_at: null,
  finished_at: null,
  stats: {},
  requested_by: 'an\u001B[31mna',
};

const VERDICT = {
  ...{ state: 'well', sentence: 'All is well.', since: null, why: null, what_to_do: null },
  ...{ also: [], as_of: '2026-11-24T10:00:00Z' },
};

beforeAll(async () => {
  server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const [, kind = ''] = pathname.split('/');
    const problem = (status: number, name: string, more: object = {}): void => {
      response.writeHead(status, { 'content-type': 'application/problem+json' });
      response.end(
        JSON.stringify({ type: `/problems/${name}`, title: name, status, request_id: 'r-1', ...more }),
      );
    };
    const json = (body: object): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (kind === 'page') response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Hello</h1>');
    else if (kind === 'proxy') response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>Bad</h1>');
    else if (kind === 'gone') request.socket.destroy();
    else if (kind === 'broken') problem(503, 'database-unavailable');
    else if (kind === 'refusing') problem(401, 'unauthenticated');
    else if (kind === 'forbidding') problem(403, 'credential-not-allowed');
    else if (kind === 'bad')
      problem(400, 'invalid-request', { errors: [{ field: 'querystring/limit', message: 'must be fewer' }] });
    else if (pathname === '/api/jobs') json({ jobs: [] });
    else if (pathname === '/api/verdict') json(VERDICT);
    else json({ items: Array.from({ length: 2_000 }, () => RUN), next_cursor: null });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

type Environment = Readonly<Record<string, string | undefined>>;

const environment = (more: Environment): Environment => ({ JOBS_API_URL: url, OPS_TOKEN: TOKEN, ...more });

const ops = (args: readonly string[], env: Environment = {}) => runOps(args, { env: environment(env) });

describe('an exit code', () => {
  it.each([
    { what: 'an answer', path: '', code: 0, says: '' },
    { what: 'a refusal', path: '/bad', code: 3, says: 'querystring/limit: must be fewer' },
    { what: 'trouble of the API', path: '/broken', code: 4, says: 'database-unavailable' },
    { what: 'a proxy', path: '/proxy', code: 4, says: 'not the jobs API’s' },
    { what: 'a page', path: '/page', code: 4, says: 'not the jobs API' },
    { what: 'a connection that breaks off', path: '/gone', code: 4, says: 'does not answer' },
    { what: 'a token that is refused', path: '/refusing', code: 5, says: 'OPS_TOKEN must be one' },
    { what: 'a token that may not', path: '/forbidding', code: 5, says: 'OPS_TOKEN must be one' },
  ])('of $what is $code', async ({ path: prefix, code, says }) => {
    const finished = await ops(['runs', '--json'], { JOBS_API_URL: `${url}${prefix}` });
    expect(finished).toMatchObject({ code, stderr: expect.stringContaining(says) });
    if (code !== 0) expect(finished.stdout).toBe('');
    expect(finished.stderr).not.toMatch(/\n {4}at /);
  });

  it.each([
    {
      what: 'no environment',
      args: ['runs'],
      env: { JOBS_API_URL: undefined, OPS_TOKEN: '' },
      says: 'JOBS_API_URL, OPS_TOKEN',
    },
    {
      what: 'an address that is not safe',
      args: ['runs', '--url', 'http://jobs.example.com'],
      says: 'https',
    },
    { what: 'a token as an option', args: ['runs', '--token', TOKEN], says: "unknown option '--token'" },
    { what: 'no command', args: [], says: 'Usage' },
    { what: 'an unknown command', args: ['rnu'], says: 'Did you mean run' },
    { what: 'a limit that is none', args: ['run', 'dm-queue', '--limit', '0'], says: 'from 1 to 100000' },
    { what: 'half a number', args: ['runs', '--limit', '1.5'], says: 'from 1 to 200' },
    {
      what: 'a day that no calendar knows',
      args: ['run', 'x', '--from', '2026-02-31', '--to', '2026-03-01'],
      says: 'a day',
    },
    { what: 'a day without its end', args: ['run', 'x', '--from', '2026-02-01'], says: '--from and --to' },
    {
      what: 'days twice',
      args: ['run', 'x', '--days', '2', '--from', '2026-02-01'],
      says: 'cannot be used with',
    },
    { what: 'what is no id', args: ['why', 'x'], says: 'an id' },
    { what: 'an unknown filter', args: ['dm', 'list', 'state=x'], says: 'There are: status' },
    { what: 'ids and a filter', args: ['dm', 'retry', ID, '--filter', 'status=failed'], says: 'not both' },
    { what: 'neither', args: ['dm', 'retry'], says: 'Give ids' },
    {
      what: 'a time without its zone',
      args: ['dm', 'reschedule', ID, '--at', '2026-12-01T09:30'],
      says: 'with its zone',
    },
    { what: 'a decision that is none', args: ['settle', ID, 'maybe'], says: 'sent, resend, drop' },
    {
      what: 'a look without its instant',
      args: ['settle', ID, 'resend', '--looked-at', 'today'],
      says: 'an instant with its zone',
    },
    { what: 'a pause without a reason', args: ['pause', '--all'], says: '--reason' },
    { what: 'a pause of nothing', args: ['pause', '--reason', 'x'], says: 'one account, or --all' },
    {
      what: 'an unknown setting',
      args: ['accounts', 'policy', ID, 'speed=9'],
      says: 'There are: dms_per_day',
    },
  ])('of $what is 2', async ({ args, env = {}, says }) => {
    const finished = await ops(args, env);
    expect(finished).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(says) });
    expect(finished.stderr).not.toMatch(/\n {4}at /);
  });

  it('of help is 0, and it has an example and the exit codes', async () => {
    const [help, command] = await Promise.all([ops(['--help']), ops(['dm', 'settle', '--help'])]);
    expect(help).toMatchObject({ code: 0, stderr: '', stdout: expect.stringContaining('130  interrupted') });
    expect(command).toMatchObject({ code: 0, stdout: expect.stringContaining('$ ops dm settle') });
  });
});

describe('standard output', () => {
  it.each([
    { env: { FORCE_COLOR: '1' }, args: [], coloured: true },
    { env: {}, args: [], coloured: false },
    { env: { FORCE_COLOR: '1', NO_COLOR: '1' }, args: [], coloured: false },
    { env: { FORCE_COLOR: '1' }, args: ['--no-color'], coloured: false },
    { env: { FORCE_COLOR: '1' }, args: ['--json'], coloured: false },
  ])('with $env and $args has colours: $coloured', async ({ env, args, coloured }) => {
    const { stdout } = await ops(['status', ...args], env);
    expect(stdout.includes('\u001B[')).toBe(coloured);
  });

  it('shows no control characters of others', async () => {
    expect((await ops(['runs'])).stdout).toContain('an�[31mna');
  });
});

describe('a process', () => {
  const CLI = path.resolve(import.meta.dirname, '../src/cli.ts');

  it('answers a script in JSON alone, also behind the -- of a package manager', async () => {
    const finished = await startOps(['--', 'runs', '--json'], { env: environment({}) }).finished;
    expect(finished).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(finished.stdout).items).toHaveLength(2_000);
  });

  it('ends with its exit code', async () => {
    const refused = startOps(['runs'], { env: environment({ JOBS_API_URL: `${url}/refusing` }) });
    expect(await refused.finished).toMatchObject({ code: 5, stdout: '' });
  });

  it('says nothing when its reader goes away', async () => {
    const piped = spawn('sh', ['-c', '"$0" "$1" runs | head -n 1', process.execPath, CLI], {
      env: { ...process.env, ...environment({}) },
    });
    let stderr = '';
    piped.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    piped.stdout.resume();
    await once(piped, 'close');
    expect(stderr).toBe('');
  });
});
