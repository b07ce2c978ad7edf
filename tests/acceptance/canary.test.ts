/**
 * Nothing leaks: no secret and no text of a message or post in any log, error, page or report of any part.
 *
 * The whole system runs as processes, everything that can go wrong does, and all that comes out is
 * looked through for canaries: what the apps write, what they answer, what the command line says,
 * and what a crash leaves.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { signTrigger } from '@revos/core/signing';
import { type Collector, startCollector } from '@revos/local-stack/collector';
import { startApp } from '@revos/local-stack/demo/processes';
import { type Stack, startStack } from '@revos/local-stack/demo/stack';
import { triggerCron } from '@revos/local-stack/demo/trigger';
import { machineEnv } from '@revos/local-stack/env';
import { type Receiver, startReceiver } from '@revos/local-stack/receiver';
import { type SentryStandIn, startSentry } from '@revos/local-stack/sentry';
import type { Action } from '@revos/unipile-sandbox';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { builtProgram } from '../support/built-apps.ts';
import { type Canary, leaksIn, type Output } from '../support/canaries.ts';
import { pathTo } from '../support/trace-path.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const OPS = builtProgram(inject('builtApps').ops, 'ops');
const SERVER = builtProgram(inject('builtApps').jobsApi, 'server');

// Whole processes, one after the other, on machines that may be busy.
vi.setConfig({ testTimeout: 180_000 });

/** Variables whose values nobody may see. Every other one that an app reads stands in NO_SECRETS. */
const SECRETS = [
  'ALERT_WEBHOOK_SECRET',
  'ALERT_WEBHOOK_URL',
  'CRON_SECRET',
  'DATABASE_URL',
  'HEARTBEAT_URL',
  'JOBS_SIGNING_SECRETS',
  'JOB_SECRET',
  'METRICS_TOKEN',
  'OPS_TOKEN',
  'OPS_TOKENS',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'REDIS_URL',
  'SENTRY_DSN',
  'SLACK_WEBHOOK_URL',
  'SUPABASE_SECRET_KEY',
  'SUPABASE_SERVICE_ROLE_KEY',
  'UNIPILE_API_KEY',
];

const NO_SECRETS = [
  'CATCH_UP',
  'DIRECT_FALLBACK',
  'DATABASE_CA',
  'DATABASE_POOL_MAX',
  'FORCE_COLOR',
  'HOST',
  'JOBS_API_URL',
  'JOB_ENGINE',
  'JOB_SCHEDULES',
  'LOG_LEVEL',
  'METRICS_PORT',
  'NO_COLOR',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_RESOURCE_ATTRIBUTES',
  'OTEL_SERVICE_NAME',
  'OTEL_TRACES_SAMPLER',
  'OTEL_TRACES_SAMPLER_ARG',
  'PORT',
  'POST_LATE_LIMIT_MINUTES',
  'PROXY_HOPS',
  'REDIS_FALLBACK',
  'RENDER_GIT_COMMIT',
  'RUN_SLICES',
  'SCHEDULER',
  'SEND_CONCURRENCY',
  'SENTRY_ENVIRONMENT',
  'SHUTDOWN_GRACE_SECONDS',
  'SUPABASE_URL',
  'UNIPILE_DSN',
  'UNKNOWN_POLICY',
  'VERCEL_GIT_COMMIT_SHA',
  'WORKER_CONCURRENCY',
];

const REDIS_PASSWORD = 'Redis/Passw0rd+canary-51c7';
const COLLECTOR_TOKEN = 'Collector-0Token-canary-2b9e';

/** Texts that only who asks for one message or one post by its id may see. */
const TEXTS: readonly Canary[] = [
  { name: 'the text of a message', value: 'Hi "Ada" – canary of a message 4b1d, with <tags> & more' },
  { name: 'the text of a post', value: 'Canary of a post 77e0: what we kept, "and" what we dropped' },
  { name: 'the name of somebody mentioned', value: 'Canary Mentioned Person 90aa' },
  { name: 'the name of a recipient', value: 'Canary Recipient Person 3c3c' },
  { name: 'the token in the address of a file', value: 'canary-of-a-signed-address-8812' },
];
const [MESSAGE, POST, MENTIONED, RECIPIENT, FILE_TOKEN] = TEXTS.map(({ value }) => value) as [
  string,
  string,
  string,
  string,
  string,
];

/** What Unipile says of a refusal is for operators to read, and not for a log: it may quote anything. */
const TOLD: Canary = { name: 'what Unipile said', value: 'Canary of an answer of Unipile bb02' };

/** Values that are no secret of ours, and stand where a caller has put a secret into the wrong place. */
const STRAY: Canary = { name: 'a token in the wrong place', value: 'Stray-0Token_canary-66d1' };

/** A database with rules of somebody else's, which quote rows in every way that Postgres has. */
const QUOTING_SQL = `
create function public.canary_quote() returns trigger language plpgsql as $$
begin
  case new.error
    when 'Canary: raises' then raise exception 'not with this text: %', new.message;
    when 'Canary: raises with a detail' then
      raise exception 'no' using detail = new.message, hint = new.message, errcode = '23514';
    when 'Canary: cannot be cast' then perform new.message::uuid;
    when 'Canary: has a code of ours' then raise exception 'no' using detail = new.message, errcode = 'DM099';
    else null;
  end case;
  return new;
end $$;
create trigger canary_quote before update on public.dm_queue for each row execute function public.canary_quote();

create function public.canary_refuse() returns trigger language plpgsql as $$
begin
  if new.dedupe_key = 'canary-of-a-rule' then
    raise exception 'no' using errcode = 'DM099', detail = new.message;
  elsif new.dedupe_key = 'canary-of-a-cast' then
    perform new.message::integer;
  end if;
  return new;
end $$;
create trigger canary_refuse before insert on public.dm_queue for each row execute function public.canary_refuse();
`;

let dataDir: string;
let stack: Stack;
let redis: Server;
let sentry: SentryStandIn;
let collector: Collector;
let receiver: Receiver;
let secrets: readonly Canary[];
let accountId: string;

/** Processes that a test has started, and that must not outlive it. */
const children = new Set<ChildProcess>();

/** Everything that came out so far. */
const outputs: Output[] = [];

beforeAll(async () => {
  // The local database writes each error that it answers with to the console, rows and all.
  vi.spyOn(console, 'error').mockImplementation(() => {});
  dataDir = await mkdtemp(path.join(tmpdir(), 'revos-canary-'));
  redis = await startQuotingRedis();
  const { port } = redis.address() as AddressInfo;
  sentry = await startSentry();
  collector = await startCollector();
  // What is told fails, so that it is logged too.
  receiver = await startReceiver();
  receiver.answerWith(500);
  const alerts = {
    ALERT_WEBHOOK_URL: `${receiver.address}/canary-of-a-webhook-41aa`,
    ALERT_WEBHOOK_SECRET: `whsec_${Buffer.alloc(32, 41).toString('base64')}`,
    SLACK_WEBHOOK_URL: `${receiver.address}/canary-of-slack-52bb`,
  };
  const traced = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${COLLECTOR_TOKEN}`,
  };
  stack = await startStack({
    dataDir,
    onStep: () => {},
    moreSql: QUOTING_SQL,
    jobsApiEnv: {
      REDIS_URL: `redis://revos:${encodeURIComponent(REDIS_PASSWORD)}@127.0.0.1:${port}`,
      LOG_LEVEL: 'trace',
      METRICS_TOKEN: 'Canary-of-a-scraper-0123456789',
      SENTRY_DSN: sentry.dsn,
      HEARTBEAT_URL: `${receiver.address}/canary-of-a-heartbeat-63cc`,
      ...traced,
      ...alerts,
    },
    webEnv: { SENTRY_DSN: sentry.dsn, ...traced, ...alerts },
  });
  secrets = secretsOf({ ...stack.environments.web, ...stack.environments.jobsApi });
  accountId = await declareAccount('Ada');
  // The web app may have to be built first.
}, 600_000);

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await stack?.close();
  redis?.close();
  await sentry?.close();
  await collector?.close();
  await receiver?.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** Every secret by itself, of variables that may list several. */
function secretsOf(env: Readonly<Record<string, string>>): Canary[] {
  return SECRETS.flatMap((name) =>
    (env[name] ?? '')
      .split(',')
      .filter((entry) => entry !== '')
      .map((entry) => {
        if (name === 'OTEL_EXPORTER_OTLP_HEADERS') return { name, value: COLLECTOR_TOKEN };
        if (name === 'REDIS_URL') return { name, value: REDIS_PASSWORD };
        if (name === 'OPS_TOKENS') return { name, value: entry.slice(entry.indexOf(':') + 1) };
        return { name, value: entry.replace(/^whsec_/, '') };
      }),
  );
}

/** A Redis that refuses every command, and quotes it, as Redis does with what it does not know. */
async function startQuotingRedis(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      const words = chunk
        .toString()
        .split('\r\n')
        .filter((word) => word !== '' && !/^[*$]\d+$/.test(word));
      socket.write(`-ERR unknown command, with args beginning with: '${words.join("', '")}'\r\n`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

async function declareAccount(name: string): Promise<string> {
  const unipileId = stack.sandbox.world.declareAccount({ name }).id;
  const { data } = await stack.client
    .from('linkedin_accounts')
    .insert({ account_name: name, unipile_account_id: unipileId })
    .select('id')
    .single();
  const open = { window_start: '00:00', window_end: '24:00', work_days: [1, 2, 3, 4, 5, 6, 7] };
  await stack.rpc.call('account_policy_set', {
    account_id: data?.id,
    patch: { ...open, gap_min_s: 0, gap_max_s: 0, post_gap_s: 0 },
  });
  return String(data?.id);
}

interface Asked {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Whether the answer shows the texts of a message or post, which is what was asked for. */
  readonly showsTexts?: boolean;
}

/** What an answer must not show, whatever was asked, and wherever a caller has put a secret. */
const hiddenWhere = (showsTexts = false): Canary[] => [...secrets, STRAY, ...(showsTexts ? [] : TEXTS)];

/** Asks, keeps all of the answer to be looked through, and gives its status and text. */
async function ask(url: string, { method = 'GET', headers = {}, body, showsTexts }: Asked = {}) {
  const response = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    redirect: 'manual',
  });
  const text = await response.text();
  const whole = [...response.headers].map(([name, value]) => `${name}: ${value}`).join('\n') + text;
  const where = `the answer ${response.status} to ${method} ${new URL(url).pathname}`;
  keep(hiddenWhere(showsTexts), { where, text: whole });
  return { status: response.status, text };
}

const asOps = () => ({ authorization: `Bearer ${stack.opsToken}` });
const asReader = () => ({
  authorization: `Basic ${Buffer.from(`anyone:${stack.opsToken}`).toString('base64')}`,
});

const api = (at: string, asked: Asked = {}) =>
  ask(`${stack.jobsApi.url}${at}`, { ...asked, headers: { ...asOps(), ...asked.headers } });

/** Looks an output through at once, so that a leak is told with what was asked. */
function keep(canaries: readonly Canary[], output: Output): void {
  outputs.push(output);
  expect(leaksIn([output], canaries)).toEqual([]);
}

/** A process to its end, and all that it wrote. */
async function ops(args: readonly string[], options: { env?: object; showsTexts?: boolean } = {}) {
  const env = {
    ...machineEnv(),
    JOBS_API_URL: stack.jobsApi.url,
    OPS_TOKEN: stack.opsToken,
    ...options.env,
  };
  const said = await new Promise<{ code: number; text: string }>((resolve) => {
    execFile(process.execPath, [...OPS, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, text: stdout + stderr });
    });
  });
  keep(hiddenWhere(options.showsTexts), {
    where: `ops ${args.join(' ')}`,
    text: said.text,
  });
  return said;
}

/** The jobs API as a process of its own, to its end. `act` is called once it listens. */
async function jobsApi(
  change: Readonly<Record<string, string>>,
  act?: (kill: (signal: NodeJS.Signals) => void) => void,
) {
  const child = spawn(process.execPath, SERVER, {
    env: {
      ...machineEnv(),
      ...stack.environments.jobsApi,
      HOST: '127.0.0.1',
      PORT: '0',
      SHUTDOWN_GRACE_SECONDS: '1',
      ...change,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let [text, acted] = ['', false];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += String(chunk);
      if (acted || !text.includes('Server listening')) return;
      acted = true;
      // It was to refuse: it goes, and its exit code tells.
      if (act === undefined) child.kill('SIGKILL');
      else act((signal) => child.kill(signal));
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  keep([...secrets, ...TEXTS, STRAY], { where: `a jobs API with ${Object.keys(change).join(', ')}`, text });
  return { code, text };
}

let count = 0;
async function queue(text: string, unipileId?: string, more: object = {}): Promise<string> {
  count += 1;
  const recipient = `ACoAABcanary${count}`;
  stack.sandbox.world.declarePerson({ provider_id: recipient, name: RECIPIENT });
  const row = {
    linkedin_account_id: unipileId ?? accountId,
    recipient_id: recipient,
    message: text,
    ...more,
  };
  const { status, text: answer } = await api('/api/messages', { method: 'POST', body: { messages: [row] } });
  expect(status, answer).toBe(201);
  return (JSON.parse(answer) as { messages: Array<{ id: string }> }).messages[0]?.id ?? '';
}

async function run(job: string, body: object = {}): Promise<string> {
  const { status, text } = await api(`/api/jobs/${job}`, {
    method: 'POST',
    headers: { prefer: 'wait=50' },
    body,
  });
  expect(status, text).toBeLessThan(300);
  return text;
}

const refused = (status: number, type: string, detail = TOLD.value): Action => ({
  kind: 'status',
  status,
  type: `errors/${type}`,
  title: 'Canary',
  detail,
  effect: false,
});

/** Each on an account of its own, so that none is held up by another's. */
const FAULTS: ReadonlyArray<{ name: string; action: Action }> = [
  { name: 'lost answers', action: { kind: 'drop_answer' } },
  { name: 'resets', action: { kind: 'reset_before' } },
  { name: 'broken answers', action: { kind: 'malformed_body' } },
  { name: 'pages of HTML', action: { kind: 'html_body', effect: true } },
  { name: 'no ids', action: { kind: 'null_ids' } },
  { name: 'a refused recipient', action: refused(422, 'invalid_recipient') },
  { name: 'a refused text', action: refused(400, 'invalid_parameters') },
  { name: 'an account signed out', action: refused(401, 'disconnected_account') },
  { name: 'limits', action: refused(429, 'too_many_requests') },
  { name: 'errors of Unipile', action: refused(500, 'unexpected_error') },
  { name: 'a rule that raises', action: refused(400, 'invalid_parameters', 'raises') },
  { name: 'a rule with a detail', action: refused(400, 'invalid_parameters', 'raises with a detail') },
  { name: 'a cast that fails', action: refused(400, 'invalid_parameters', 'cannot be cast') },
  { name: 'a rule with our code', action: refused(400, 'invalid_parameters', 'has a code of ours') },
];

describe('the canaries', () => {
  it('every variable that an app reads is a secret that is looked for, or is named as none', async () => {
    const sources = await Promise.all(
      [
        ...['jobs-api', 'web', 'ops'].map((app) => `apps/${app}/src/env.ts`),
        'packages/core/src/config/traces.ts',
      ].map((file) => readFile(path.join(ROOT, file), 'utf8')),
    );
    const read = sources.flatMap((source) =>
      [...source.matchAll(/(?:^ {2}|source\.|\{ )([A-Z][A-Z0-9_]+)\b(?=:|;|\)| [!&|}]|,$)/gm)].map(
        ([, name]) => name,
      ),
    );
    const documented = [
      ...(await readFile(path.join(ROOT, 'docs/environment.md'), 'utf8')).matchAll(
        /^\| ((?:`[A-Z0-9_]+`(?:, )?)+) \|/gm,
      ),
    ].flatMap(([, names = '']) => names.split(', ').map((name) => name.replaceAll('`', '')));
    expect(read.length).toBeGreaterThan(20);
    const known = new Set([...SECRETS, ...NO_SECRETS]);
    expect([...read, ...documented].filter((name) => !known.has(name ?? ''))).toEqual([]);
    const had = new Set(secrets.map(({ name }) => name));
    // The other way to the database (apps/jobs-api/test/systems/direct-database.test.ts), and the
    // older name of a key: they have their turn at the start.
    expect(SECRETS.filter((name) => !had.has(name))).toEqual(['DATABASE_URL', 'SUPABASE_SERVICE_ROLE_KEY']);
  });

  it.each([
    { form: 'as it is', write: (value: string) => `so ${value}.` },
    { form: 'cut off', write: (value: string) => value.slice(3, -3) },
    { form: 'as JSON', write: (value: string) => JSON.stringify({ value }) },
    { form: 'as JSON within JSON', write: (value: string) => JSON.stringify(JSON.stringify({ value })) },
    { form: 'in a path', write: (value: string) => `/x/${encodeURIComponent(value)}/y` },
    { form: 'in a query', write: (value: string) => String(new URLSearchParams({ value })) },
    {
      form: 'in HTML',
      write: (value: string) =>
        value.replace(/[<>&"]/g, (c) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;' })[c] ?? c),
    },
    { form: 'in base64', write: (value: string) => Buffer.from(`a:${value}`).toString('base64') },
    { form: 'in base64url', write: (value: string) => Buffer.from(`ab:${value}`).toString('base64url') },
    { form: 'in hex', write: (value: string) => Buffer.from(value).toString('hex') },
  ])('are found $form', ({ write }) => {
    for (const canary of [...secrets, ...TEXTS, TOLD, STRAY]) {
      expect(leaksIn([{ where: 'here', text: write(canary.value) }], [canary])).not.toEqual([]);
    }
    expect(
      leaksIn([{ where: 'here', text: write('something of no interest') }], [...secrets, ...TEXTS]),
    ).toEqual([]);
  });
});

describe('a slot', () => {
  it('is one trace, from the web app to the record of a message', async () => {
    await queue(MESSAGE);
    const { run: traced, outcome } = await triggerCron(stack, 'dm-queue');
    expect(outcome).toBe('created');
    const sliced = () => collector.spans('slice').map(({ attributes }) => attributes['revos.run_id']);
    await expect.poll(sliced, { timeout: 60_000 }).toContain(traced.id);
    const spans = collector.spans();
    const ofRun = spans.filter(({ attributes }) => attributes['revos.run_id'] === traced.id);
    const paths = new Set(ofRun.map((span) => `${span.service}: ${pathTo(span, spans).join(' > ')}`));
    const slice = 'slot > trigger > request > start run > slice';
    for (const path of [
      'revos-web: slot',
      'revos-jobs-api: slot > trigger > request',
      `revos-jobs-api: ${slice}`,
      `revos-jobs-api: ${slice} > claim`,
      `revos-jobs-api: ${slice} > call`,
      `revos-jobs-api: ${slice} > record`,
    ]) {
      expect([...paths]).toContain(path);
    }
    expect(new Set(ofRun.map(({ traceId }) => traceId)).size).toBe(1);
  });
});

describe('a start with a bad environment', () => {
  it.each(SECRETS.filter((name) => !['CRON_SECRET', 'OPS_TOKEN'].includes(name)))(
    'names %s, and does not show it',
    async (name) => {
      const good = stack.environments.jobsApi[name] ?? stack.environments.jobsApi.SUPABASE_SECRET_KEY ?? '';
      const change = name === 'SUPABASE_SERVICE_ROLE_KEY' ? { SUPABASE_SECRET_KEY: '' } : {};
      const { code, text } = await jobsApi({ ...change, [name]: `${good}\nand a second line` });
      expect(code).toBe(1);
      expect(text).toContain(name.replace('SERVICE_ROLE', 'SECRET'));
    },
  );

  it('a key of another project is refused without being shown', async () => {
    const { code, text } = await jobsApi({ SUPABASE_SECRET_KEY: STRAY.value });
    expect(code).toBe(1);
    expect(text).toContain('SUPABASE_SECRET_KEY must be');
  });

  it('of the web app is told in its answers and its log by names alone', async () => {
    const bad = Object.fromEntries(
      Object.entries(stack.environments.web).map(([name, value]) =>
        SECRETS.includes(name) && name !== 'CRON_SECRET' && name !== 'OPS_TOKEN'
          ? [name, name === 'JOB_SECRET' ? ',' : `${value} and more`]
          : [name, value],
      ),
    );
    const logFile = path.join(dataDir, 'logs', 'bad-web.log');
    const web = await startApp({
      name: 'A web app',
      command: ['next', 'start', '--port', '{port}', '--hostname', '127.0.0.1'],
      cwd: path.join(ROOT, 'apps/web'),
      probePath: '/icon.svg',
      logFile,
      env: { ...bad, JOBS_API_URL: `https://revos:${stack.opsToken}@127.0.0.1:1` },
    });
    const cron = await ask(`${web.url}/api/cron/dm-queue`, {
      headers: { authorization: `Bearer ${stack.cronSecret}` },
    });
    expect(cron.status).toBe(500);
    expect(cron.text).toContain('JOBS_SIGNING_SECRETS');
    const page = await ask(web.url, { headers: asReader() });
    expect(page.text).toContain('The dashboard is not set up');
    await web.stop();
    keep(secrets, { where: 'the log of a web app', text: await readFile(logFile, 'utf8') });
  });

  it.each([
    { name: 'with a line break', token: (token: string) => `${token}\n${token}` },
    { name: 'that nobody knows', token: () => STRAY.value },
  ])('of the command line, with a token $name', async ({ token }) => {
    const { code, text } = await ops(['status'], { env: { OPS_TOKEN: token(stack.opsToken) } });
    expect(code).toBeGreaterThan(0);
    expect(leaksIn([{ where: 'ops', text }], [STRAY])).toEqual([]);
  });
});

describe('what is sent', () => {
  it.each(FAULTS)('with $name', async ({ name, action }) => {
    const account = await declareAccount(name);
    const { data } = await stack.client
      .from('linkedin_accounts')
      .select('unipile_account_id')
      .eq('id', account)
      .single();
    stack.sandbox.world.addFaults([
      { match: { operation: 'send', account_id: String(data?.unipile_account_id) }, action, times: null },
    ]);
    await queue(MESSAGE, account);
  });

  it('by a run', async () => {
    await queue(MESSAGE);
    // As many as there are: it does not wait for those that are to be tried again.
    await run('dm-queue', { limit: FAULTS.length + 1 });
    await run('reconcile');
    const sent = stack.sandbox.world.effects({ kind: 'message' }).filter(({ text }) => text === MESSAGE);
    expect(sent.length).toBeGreaterThan(1);
  });

  it('posts, with files that cannot be had, mentions, and refusals', async () => {
    const post = async (options: object): Promise<string> => {
      const { data } = await stack.client
        .from('posts')
        .insert({
          linkedin_account_id: accountId,
          content: `${POST} {{0}}`,
          status: 'scheduled',
          scheduled_for: new Date().toISOString(),
        })
        .select('id')
        .single();
      const mentions = [{ name: MENTIONED, profile_id: 'ACoAABmentioned', is_company: false }];
      // What is answered is the post with the options just given.
      const { status, text } = await api(`/api/posts/${data?.id}/options`, {
        method: 'PATCH',
        body: { mentions, ...options },
        showsTexts: true,
      });
      expect(status, text).toBe(200);
      return String(data?.id);
    };
    stack.sandbox.world.addFaults([
      { match: { operation: 'create_post' }, action: refused(400, 'invalid_parameters') },
    ]);
    const ids = [
      await post({}),
      await post({ media: [{ url: `https://127.0.0.1:1/file.png?token=${FILE_TOKEN}` }] }),
      await post({ media: [{ url: `${stack.supabase.url}/storage/v1/none.png?token=${FILE_TOKEN}` }] }),
      await post({}),
    ];
    await run('post-scheduler');
    for (const id of ids) {
      await api(`/api/posts/${id}`, { showsTexts: true });
      await api(`/api/posts/${id}/explanation`);
      await ops(['posts', 'show', id], { showsTexts: true });
    }
    expect(stack.sandbox.world.effects({ kind: 'post' }).length).toBeGreaterThan(0);
  });
});

describe('what is answered', () => {
  it('every list, page and report', async () => {
    for (const at of [
      '/health',
      '/ready',
      '/api/jobs',
      '/api/runs',
      '/api/messages?limit=200',
      '/api/posts',
      '/api/accounts',
      '/api/sending',
      '/api/audit',
      '/api/analytics/daily',
      '/api/analytics/platform',
      '/api/openapi.json',
    ]) {
      const { status, text } = await api(at);
      expect(status, text).toBe(200);
    }
    const { items } = JSON.parse((await api('/api/runs')).text) as { items: Array<{ id: string }> };
    expect(items.length).toBeGreaterThan(2);
    await ask(`${stack.jobsApi.url}/docs`, { headers: asReader() });
    for (const at of ['/', `/runs/${items[0]?.id}`, `/runs/${crypto.randomUUID()}`, '/none']) {
      expect((await ask(stack.web.url + at, { headers: asReader() })).text).toContain('RevOS');
    }
  });

  it('a message by its id, with its text and no secret', async () => {
    const { items } = JSON.parse((await api('/api/messages?limit=200')).text) as {
      items: Array<{ id: string }>;
    };
    const texts = await Promise.all(
      items.map(async ({ id }) => {
        await api(`/api/messages/${id}/explanation`);
        return (await api(`/api/messages/${id}`, { showsTexts: true })).text;
      }),
    );
    expect(texts.every((text) => text.includes(JSON.stringify(MESSAGE)))).toBe(true);
    expect(texts.join('')).toContain(TOLD.value);
  });

  it('a body that is refused is not repeated', async () => {
    const row = { linkedin_account_id: accountId, recipient_id: 'ACoAABrefused', message: MESSAGE };
    const bodies: unknown[] = [
      `{"messages":[{"message":"${TEXTS[0]?.name} ${RECIPIENT}`,
      { messages: [{ ...row, message: `${MESSAGE}\0` }] },
      { messages: [{ ...row, message: MESSAGE.repeat(400) }] },
      { messages: [{ ...row, message: `${MESSAGE} {{first_name}}` }] },
      { messages: [{ ...row, recipient_id: MESSAGE }] },
      { messages: [{ ...row, send_at: MESSAGE }] },
      { messages: [{ ...row, [MESSAGE]: 1 }] },
      { messages: MESSAGE },
      { messages: [{ ...row, dedupe_key: 'canary-of-a-rule' }] },
      { messages: [{ ...row, dedupe_key: 'canary-of-a-cast' }] },
    ];
    for (const body of bodies) {
      const { status, text } = await api('/api/messages', { method: 'POST', body });
      expect(status, text).toBeGreaterThanOrEqual(400);
      expect((JSON.parse(text) as { type: string }).type).toMatch(/^\/problems\//);
    }
    for (const [method, at] of [
      ['PATCH', `/api/accounts/${accountId}/policy`],
      ['POST', '/api/messages/actions'],
      ['POST', '/api/jobs/dm-queue'],
    ] as const) {
      const { status } = await api(at, {
        method,
        body: { time_zone: MESSAGE, action: MESSAGE, [MESSAGE]: MESSAGE },
      });
      expect(status).toBeGreaterThanOrEqual(400);
    }
  });

  it('a credential in the wrong place is not repeated', async () => {
    for (const { value } of [...secrets, STRAY]) {
      const quoted = encodeURIComponent(value);
      for (const base of [stack.jobsApi.url, stack.web.url]) {
        await ask(`${base}/api/runs/${quoted}?token=${quoted}`, {
          headers: { authorization: `Bearer ${value}` },
        });
        await ask(`${base}/${quoted}`, {
          headers: { authorization: `Basic ${btoa(`ops:${value}`)}`, cookie: `a=${quoted}` },
        });
        await ask(`${base}/api/cron/${quoted}`, { headers: { authorization: value } });
      }
      await api(`/api/runs/${quoted}`);
      await api(`/api/runs?cursor=${quoted}&job=${quoted}`);
      await api('/api/jobs/dm-queue', { method: 'POST', body: value });
    }
    const signed = signTrigger(
      { job: 'dm-queue', scheduled_for: '2020-01-01T00:00:00.000Z', trigger: 'vercel-cron' },
      [`whsec_${Buffer.alloc(32, 7).toString('base64')}`],
      new Date(),
    );
    const { status } = await api('/api/jobs/dm-queue', {
      method: 'POST',
      headers: { ...signed.headers, authorization: `Bearer ${stack.environments.jobsApi.JOB_SECRET}` },
      body: signed.body,
    });
    expect(status).toBe(401);
  });

  it('what is no HTTP is not repeated', async () => {
    const port = Number(new URL(stack.jobsApi.url).port);
    for (const { value } of [...secrets, ...TEXTS, STRAY]) {
      const socket = connect(port, '127.0.0.1');
      let text = '';
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      socket.write(`GET /${value} HTTP/1.1\r\n${value}\r\nauthorization ${value}\r\n\r\n`);
      await once(socket, 'close');
      keep([...secrets, ...TEXTS, STRAY], { where: 'the answer to what is no HTTP', text });
      expect(text).toMatch(/^HTTP\/1\.1 4/);
    }
  });

  it('a cron that fails is told without what it was given', async () => {
    for (const authorization of [`Bearer ${STRAY.value}`, `Bearer ${stack.opsToken}`]) {
      const { status } = await ask(`${stack.web.url}/api/cron/dm-queue`, { headers: { authorization } });
      expect(status).toBe(401);
    }
    await triggerCron(stack, 'analytics');
  });
});

describe('the command line', () => {
  it('shows texts for one message alone', async () => {
    const id = await queue(MESSAGE);
    for (const args of [
      ['status'],
      ['dm', 'list'],
      ['dm', 'list', '--json'],
      ['posts', 'list', '--json'],
      ['unknowns'],
      ['audit'],
      ['why', id],
    ]) {
      await ops(args);
    }
    expect((await ops(['dm', 'show', id], { showsTexts: true })).text).toContain('canary of a message 4b1d');
  });

  it.each([
    { name: 'a quote within a field', line: (text: string) => `Ada,ACoAABcsv1,${text} "${text}"` },
    { name: 'too many columns', line: (text: string) => `Ada,ACoAABcsv1,${text},${text}` },
    { name: 'a quote that is not closed', line: (text: string) => `Ada,ACoAABcsv1,"${text}` },
    { name: 'something after a quote', line: (text: string) => `Ada,ACoAABcsv1,"${text}"${text}` },
    { name: 'a placeholder', line: (text: string) => `Ada,ACoAABcsv1,${text} {{name}}` },
    { name: 'no recipient', line: (text: string) => `Ada,${text},${text}` },
  ])('refuses a file with $name by its line, and does not repeat it', async ({ line }) => {
    const file = path.join(dataDir, 'campaign.csv');
    // Without quotes of its own, which would hide what each row is about.
    await writeFile(file, `account,recipient_id,message\n${line(RECIPIENT)}\n`);
    for (const args of [
      ['dm', 'import', file],
      ['dm', 'import', file, '--json'],
    ]) {
      const { code, text } = await ops(args);
      expect(code, text).toBe(1);
      expect(text).toMatch(/line 2|"line": 2/);
    }
  });
});

describe('the metrics', () => {
  it('count what went wrong, and name nobody', async () => {
    const authorization = `Bearer ${stack.environments.jobsApi.METRICS_TOKEN}`;
    const { status, text } = await ask(`${stack.jobsApi.url}/metrics`, { headers: { authorization } });
    expect(status).toBe(200);
    expect(text).toMatch(
      /revos_attempts_total\{kind="message",outcome="unknown",reason="answer_lost"\} [1-9]/,
    );
    expect(text).toMatch(
      /revos_attempts_total\{kind="message",outcome="failed",reason="recipient_unreachable"\} [1-9]/,
    );
    expect(leaksIn([{ where: 'the metrics', text }], [...secrets, ...TEXTS, TOLD, STRAY])).toEqual([]);
    expect(text).not.toMatch(/[0-9a-f]{8}-[0-9a-f]{4}-|ACoAA|Canary/);
    expect(text).not.toContain(accountId);
    expect((await ask(`${stack.jobsApi.url}/metrics`, { headers: asOps() })).status).toBe(401);
  });
});

describe('a crash', () => {
  const CRASHES = {
    'an error of Postgres': (text: string) =>
      `throw Object.assign(new Error(${text}), { code: '23514', detail: ${text}, where: ${text}, parameters: [${text}] })`,
    'a rejection that nobody heard': (text: string) =>
      `Promise.reject(new Error('no', { cause: Object.assign(new Error(${text}), { command: { args: [${text}] } }) }))`,
    'what a parser read': (text: string) => `JSON.parse(${text})`,
    'something that is no error': (text: string) => `throw { message: ${text}, text: ${text} }`,
    'a header that quotes a secret': () =>
      "new Headers({ apikey: process.env.SUPABASE_SECRET_KEY + '\\n' + process.env.UNIPILE_API_KEY })",
    'and another one while it ends': (text: string) =>
      `for (const n of [1, 2]) setTimeout(() => { throw Object.assign(new Error(${text}), { code: '22P02', detail: ${text} }) }, n)`,
  };

  it.each(Object.entries(CRASHES))(
    'by %s says what broke, on lines of JSON, and exits 1',
    async (_, codeOf) => {
      const module = path.join(dataDir, `crash-${++count}.mjs`);
      await writeFile(
        module,
        `process.once('SIGWINCH', () => setImmediate(() => { ${codeOf(JSON.stringify(MESSAGE))} }));\n`,
      );
      const { code, text } = await jobsApi({ NODE_OPTIONS: `--import=${pathToFileURL(module)}` }, (kill) =>
        kill('SIGWINCH'),
      );
      expect(code).toBe(1);
      const lines = text
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { level: number; msg: string });
      // Of two errors the second's line may come first: it is flushed at once, while the first
      // one's is on its way.
      expect(lines.filter(({ level }) => level === 60).map(({ msg }) => msg)).toContain(
        'uncaught; shutting down',
      );
    },
  );

  it('while it starts is told in one line', async () => {
    const taken = new URL(stack.jobsApi.url).port;
    const { code, text } = await jobsApi({ PORT: taken });
    expect(code).toBe(1);
    expect(text).toContain('EADDRINUSE');
    for (const line of text.trimEnd().split('\n')) expect(() => JSON.parse(line)).not.toThrow();
  });

  it('that no handler sees leaves nothing', async () => {
    const module = path.join(dataDir, 'abort.mjs');
    await writeFile(module, "process.once('SIGWINCH', () => process.abort());\n");
    const { code } = await jobsApi({ NODE_OPTIONS: `--import=${pathToFileURL(module)}` }, (kill) =>
      kill('SIGWINCH'),
    );
    expect(code).toBeNull();
  });
});

it('nothing of it stands in any log, nor in what Sentry or a collector was told', async () => {
  await stack.close();
  const logs = await Promise.all(
    ['jobs-api.log', 'web.log'].map(async (name) => ({
      where: name,
      text: await readFile(path.join(dataDir, 'logs', name), 'utf8'),
    })),
  );
  // What was meant to go wrong has gone wrong.
  for (const said of [
    'send failed or outcome unknown',
    'result refused, its attempt becomes unknown',
    'the database refused with P0001',
    'the database refused with 22P02',
    '"code":"23514"',
    'analytics cache unavailable',
    'request failed',
    '"signature":"mismatch"',
    'post media unusable',
  ]) {
    expect.soft(logs[0]?.text.includes(said), said).toBe(true);
  }
  expect(leaksIn(logs, [...secrets, ...TEXTS, TOLD, STRAY])).toEqual([]);

  const told = sentry.requests.map(({ body }) => ({ where: 'what Sentry was told', text: body }));
  expect(leaksIn(told, [...secrets, ...TEXTS, TOLD, STRAY])).toEqual([]);
  const said = told.map(({ text }) => text).join('\n');
  for (const part of [
    'the database refused with 22P02"',
    'the database refused with 23514"',
    '"what was read cannot be parsed"',
    '"something that is no error was thrown"',
    '"level":"fatal"',
    '"attempt_id"',
    '"request_id"',
    '"monitor_slug":"analytics"',
  ]) {
    expect.soft(said.includes(part), part).toBe(true);
  }
  const traces = collector.requests.map(({ url, body }) => ({
    where: 'what a collector was told',
    text: url + body,
  }));
  expect(leaksIn(traces, [...secrets, ...TEXTS, TOLD, STRAY])).toEqual([]);
  for (const { headers } of collector.requests)
    expect(headers.authorization).toBe(`Bearer ${COLLECTOR_TOKEN}`);
  const alerts = receiver.received.map(({ body }) => ({ where: 'an alert', text: body }));
  expect(leaksIn(alerts, [...secrets, ...TEXTS, TOLD, STRAY])).toEqual([]);
  expect(receiver.received.map(({ url }) => url)).toContain('/canary-of-a-heartbeat-63cc');
  expect(logs[0]?.text).toContain('heartbeat not delivered');
  expect(outputs.length).toBeGreaterThan(150);
});
