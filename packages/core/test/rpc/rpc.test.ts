import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import {
  createTemplate,
  type LocalPostgres,
  openPglite,
  readMigrations,
  startPostgres,
  startSupabase,
} from '@revos/local-stack';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  classifyRpcFailure,
  createSqlRpc,
  createSupabaseRpc,
  type Rpc,
  RpcError,
  type RpcErrorKind,
  type SqlQuery,
  withClock,
} from '../../src/rpc/index.ts';

/** Functions that answer with what they were given, as the database understood it. */
const PROBES = {
  version: '20990101000000',
  name: 'probes',
  sql: `
create function public.probe_echo(
  p_json jsonb default null, p_text text default 'unset', p_uuids uuid[] default null,
  p_at timestamptz default null, p_count integer default 7, p_flag boolean default null,
  p_now timestamptz default now()
)
returns jsonb language sql stable security invoker set search_path = '' as $$
  select jsonb_build_object('json', p_json, 'json_type', jsonb_typeof(p_json), 'text', p_text, 'uuids', to_jsonb(p_uuids),
    'at', p_at, 'count', p_count, 'flag', p_flag, 'now', p_now)
$$;
create function public.probe_null() returns jsonb language sql as $$ select null::jsonb $$;
create function public.probe_list() returns jsonb language sql as $$ select '[1, 2]'::jsonb $$;
create function public.probe_number() returns integer language sql as $$ select 3 $$;
create function public.probe_rows() returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_object('n', n)) from generate_series(1, 2500) as n
$$;
create function public.probe_refuse(p_code text, p_detail text default '') returns jsonb language plpgsql as $$
begin
  raise exception 'refused' using errcode = p_code, detail = p_detail;
end;
$$;
create function public.probe_secret() returns jsonb language sql as $$ select '1'::jsonb $$;
revoke execute on function public.probe_secret from public, anon, authenticated, service_role;
grant execute on function public.probe_echo, public.probe_null, public.probe_list, public.probe_number,
  public.probe_rows, public.probe_refuse to service_role;
`,
};

interface Implementation {
  readonly rpc: Rpc;
  /** Takes the database away. */
  lose(): Promise<void>;
  close(): Promise<void>;
}

let postgres: LocalPostgres;
let migrations: Awaited<ReturnType<typeof readMigrations>>;

beforeAll(async () => {
  migrations = [...(await readMigrations()), PROBES];
  postgres = await startPostgres();
  await createTemplate(postgres.connectionString, { migrations });
});
afterAll(() => postgres.stop());

async function overSupabase(): Promise<Implementation> {
  const api = await startSupabase({ connection: {}, migrations });
  const rpc = createSupabaseRpc({ url: api.url, secretKey: api.secretKey });
  return { rpc, lose: () => api.close(), close: async () => {} };
}

async function overPglite(): Promise<Implementation> {
  const db = await openPglite({ migrations });
  await db.exec('set role service_role');
  const query: SqlQuery = async (text, values) =>
    (await db.query<Record<string, unknown>>(text, [...values])).rows;
  const rpc = createSqlRpc(query, () => db.close());
  return { rpc, lose: () => db.close(), close: async () => {} };
}

function poolOf(url: string, settings = ''): { query: SqlQuery; pool: pg.Pool } {
  const pool = new pg.Pool({ connectionString: url, options: `-c role=service_role ${settings}`, max: 5 });
  pool.on('error', () => {});
  return { pool, query: async (text, values) => (await pool.query(text, [...values])).rows };
}

let databases = 0;
const newDatabase = (): Promise<string> =>
  postgres.createDatabase(`rpc_${++databases}`, { template: 'template_migrated' });

async function overPostgres(): Promise<Implementation> {
  const server = await startPostgres();
  await createTemplate(server.connectionString, { migrations });
  const { pool, query } = poolOf(await server.createDatabase('rpc', { template: 'template_migrated' }));
  const rpc = createSqlRpc(query, () => pool.end());
  return { rpc, lose: () => server.stop(), close: () => rpc.close() };
}

// lite writes each database error that it answers with to the console.
beforeEach(() => {
  const silenced = vi.spyOn(console, 'error').mockImplementation(() => {});
  return () => silenced.mockRestore();
});

/** What a call fails with. */
async function failureOf(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    (answer) => new Error(`answered ${JSON.stringify(answer)}`),
    (failure: unknown) => failure,
  );
  if (error instanceof RpcError) return error;
  throw error;
}

const UUIDS = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'];

describe.each([
  { name: 'supabase-js over the REST API', open: overSupabase },
  { name: 'SQL over PGlite', open: overPglite },
  { name: 'SQL over pg on Postgres', open: overPostgres },
])('$name', ({ open }) => {
  let implementation: Implementation;
  let rpc: Rpc;
  beforeAll(async () => {
    implementation = await open();
    ({ rpc } = implementation);
  });
  afterAll(() => implementation.close());

  const echo = (args: Record<string, unknown>) => rpc.call<Record<string, unknown>>('probe_echo', args);

  it.each<{ name: string; json: unknown; type: string }>([
    { name: 'an object', json: { a: 1, deep: { list: [1, 'two', null, true] } }, type: 'object' },
    { name: 'an array of objects', json: [{ a: 1 }, { b: '2' }], type: 'array' },
    { name: 'an empty array', json: [], type: 'array' },
    { name: 'an empty object', json: {}, type: 'object' },
    {
      name: 'text with quotes, backslash, emoji and lines',
      json: { t: `'"\\\n👋🏽 {} $1 :x ?` },
      type: 'object',
    },
    { name: 'text that looks like JSON', json: { t: '{"a":1}' }, type: 'object' },
  ])('jsonb: $name', async ({ json, type }) => {
    expect(await echo({ json })).toMatchObject({ json, json_type: type });
  });

  it.each<{ name: string; args: Record<string, unknown>; answer: Record<string, unknown> }>([
    { name: 'text', args: { text: `it's "quoted"` }, answer: { text: `it's "quoted"` } },
    { name: 'empty text', args: { text: '' }, answer: { text: '' } },
    { name: 'text of digits', args: { text: '0123' }, answer: { text: '0123' } },
    { name: 'text that is JSON', args: { text: '{"a":1}' }, answer: { text: '{"a":1}' } },
    { name: 'uuids', args: { uuids: UUIDS }, answer: { uuids: UUIDS } },
    { name: 'no uuids', args: { uuids: [] }, answer: { uuids: [] } },
    { name: 'an integer', args: { count: 42 }, answer: { count: 42 } },
    { name: 'a boolean', args: { flag: false }, answer: { flag: false } },
    {
      name: 'an instant in UTC',
      args: { at: '2026-03-02T09:30:00.123Z' },
      answer: { at: '2026-03-02T09:30:00.123+00:00' },
    },
    {
      name: 'an instant in another zone',
      args: { at: '2026-03-02T10:30:00+01:00' },
      answer: { at: '2026-03-02T09:30:00+00:00' },
    },
    {
      name: 'null, which is no default',
      args: { text: null, count: null },
      answer: { text: null, count: null },
    },
    {
      name: 'undefined, which is the default',
      args: { text: undefined, count: undefined },
      answer: { text: 'unset', count: 7 },
    },
    { name: 'nothing', args: {}, answer: { json: null, text: 'unset', uuids: null, at: null, count: 7 } },
  ])('$name', async ({ args, answer }) => {
    expect(await echo(args)).toMatchObject(answer);
  });

  it('instants in an answer are ISO 8601, and name one moment', async () => {
    const { now } = await echo({});
    expect(now).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?\+00:00$/);
    expect(Math.abs(Date.now() - Date.parse(String(now)))).toBeLessThan(60_000);
  });

  it.each([
    { name: 'probe_null', answer: null },
    { name: 'probe_list', answer: [1, 2] },
    { name: 'probe_number', answer: 3 },
  ])('$name answers $answer', async ({ name, answer }) => {
    expect(await rpc.call(name)).toEqual(answer);
  });

  it('2,500 rows in one value are not cut', async () => {
    expect(await rpc.call('probe_rows')).toHaveLength(2_500);
  });

  it.each(['DM021', 'RN001', 'AC004', 'SE001'])(
    'a rule of ours keeps its code %s and its detail',
    async (code) => {
      const detail = '[{"row":0,"field":"message"}]';
      const error = await failureOf(rpc.call('probe_refuse', { code, detail }));
      expect({ ...error, name: error.name }).toEqual({
        name: 'RpcError',
        kind: 'rule',
        code,
        functionName: 'probe_refuse',
        detail,
      });
      expect(error.message).toBe('probe_refuse: refused');
    },
  );

  it('a real rule, as the queue raises it', async () => {
    const error = await failureOf(rpc.call('dm_enqueue', { rows: [{}] }));
    expect(error).toMatchObject({ kind: 'rule', code: 'DM021' });
    expect(JSON.parse(error.detail ?? '')).toContainEqual(
      expect.objectContaining({ row: 0, field: 'message' }),
    );
  });

  it.each<{ code: string; kind: RpcErrorKind }>([
    { code: '40001', kind: 'unavailable' },
    { code: '40P01', kind: 'unavailable' },
    { code: '53300', kind: 'unavailable' },
    { code: '55P03', kind: 'unavailable' },
    { code: '57014', kind: 'unavailable' },
    { code: '57P01', kind: 'unavailable' },
    { code: '22P02', kind: 'bug' },
    { code: '23514', kind: 'bug' },
    { code: 'P0001', kind: 'bug' },
  ])('SQLSTATE $code is $kind', async ({ code, kind }) => {
    expect(await failureOf(rpc.call('probe_refuse', { code }))).toMatchObject({ kind, code });
  });

  it('the text of a value that Postgres cannot read stays behind: it quotes the value', async () => {
    const error = await failureOf(rpc.call('probe_echo', { uuids: ['Hi Ada'] }));
    expect(error).toMatchObject({ kind: 'bug', code: '22P02' });
    expect(error.message).toBe('probe_echo: the database refused with 22P02');
  });

  it('the detail of what is no rule of ours stays behind: it may quote a row', async () => {
    const detail = 'Failing row contains (Hi Ada).';
    const error = await failureOf(rpc.call('probe_refuse', { code: '23514', detail }));
    expect(error.detail).toBeNull();
    expect(error.message).not.toContain('Hi Ada');
  });

  it.each([
    { name: 'a function that does not exist', call: () => rpc.call('probe_nothing', {}) },
    { name: 'the same, with arguments', call: () => rpc.call('probe_nothing', { a: 1 }) },
    { name: 'an argument that does not exist', call: () => rpc.call('probe_echo', { nothing: 1 }) },
    { name: 'an argument too few', call: () => rpc.call('probe_refuse', {}) },
    { name: 'an argument of another type', call: () => rpc.call('probe_echo', { count: 'many' }) },
    { name: 'a uuid that is none', call: () => rpc.call('probe_echo', { uuids: ['x'] }) },
    { name: 'a function that is not granted', call: () => rpc.call('probe_secret') },
  ])('$name is a bug', async ({ call }) => {
    expect(await failureOf(call())).toMatchObject({ kind: 'bug' });
  });

  it('works on after any of these', async () => {
    expect(await echo({ count: 1 })).toMatchObject({ count: 1 });
  });

  it('withClock hands its clock to every function, last', async () => {
    const now = new Date('2031-05-06T07:08:09.123Z');
    const clocked = withClock(rpc, () => now);
    expect(await clocked.call('probe_echo', { count: 1 })).toMatchObject({
      count: 1,
      now: '2031-05-06T07:08:09.123+00:00',
    });
    expect(await clocked.call('dm_backlog')).toMatchObject({ due: 0 });
  });

  it('many calls at once each get their own answer', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, count) => echo({ count })));
    expect(answers.map(({ count }) => count)).toEqual(Array.from({ length: 40 }, (_, count) => count));
  });

  // Last: there is no way back.
  it('a database that is gone is unavailable, each time', async () => {
    await implementation.lose();
    for (let count = 0; count < 3; count += 1) {
      expect(await failureOf(rpc.call('probe_list'))).toMatchObject({ kind: 'unavailable', detail: null });
      expect(await failureOf(rpc.call('probe_echo', { count: 1 }))).toMatchObject({ kind: 'unavailable' });
    }
  });
});

describe('Postgres that stops and comes back', () => {
  it('is unavailable meanwhile, and answers again', async () => {
    const server = await startPostgres({ durable: true });
    onTestFinished(() => server.stop());
    const { pool, query } = poolOf(server.connectionString);
    onTestFinished(() => pool.end());
    const rpc = createSqlRpc(query);
    const admin = new pg.Client({ connectionString: server.connectionString });
    await admin.connect();
    await admin.query(
      'create function public.alive() returns jsonb language sql as $$ select to_jsonb(true) $$',
    );
    await admin.end();
    expect(await rpc.call('alive')).toBe(true);
    await server.kill();
    // Its sessions take a moment to notice.
    const verdict = () => rpc.call('alive').then(String, (error: unknown) => (error as RpcError).kind);
    await expect.poll(verdict, { timeout: 10_000 }).toBe('unavailable');
    expect(await failureOf(rpc.call('never_called_before', { a: 1 }))).toMatchObject({ kind: 'unavailable' });
    await server.restart();
    expect(await rpc.call('alive')).toBe(true);
    // What could not be looked up is not remembered as missing.
    expect(await failureOf(rpc.call('never_called_before', { a: 1 }))).toMatchObject({ kind: 'bug' });
  });

  it('a statement that its timeout cuts off is unavailable', async () => {
    const { pool, query } = poolOf(await newDatabase(), '-c statement_timeout=50');
    onTestFinished(() => pool.end());
    const slow: SqlQuery = async (text, values) =>
      text.includes('probe_list') ? await query('select pg_sleep(20)', []) : await query(text, values);
    expect(await failureOf(createSqlRpc(slow).call('probe_list'))).toMatchObject({
      kind: 'unavailable',
      code: '57014',
    });
  });

  it('a function that a migration brings later is found', async () => {
    const url = await newDatabase();
    const { pool, query } = poolOf(url);
    onTestFinished(() => pool.end());
    const rpc = createSqlRpc(query);
    expect(await failureOf(rpc.call('probe_later', { n: 1 }))).toMatchObject({ kind: 'bug' });
    const admin = new pg.Client({ connectionString: url });
    await admin.connect();
    await admin.query(
      'create function public.probe_later(p_n integer) returns integer language sql as $$ select p_n $$',
    );
    await admin.end();
    expect(await rpc.call('probe_later', { n: 1 })).toBe(1);
  });
});

describe('createSqlRpc', () => {
  it.each(['', 'Drop', 'a b', 'a();drop', 'a"b', '1a', 'públic'])(
    '"%s" is no name of a function',
    async (name) => {
      const query = vi.fn<SqlQuery>();
      await expect(createSqlRpc(query).call(name)).rejects.toThrow(RangeError);
      expect(query).not.toHaveBeenCalled();
    },
  );

  // A code of the socket is none of Postgres, though some look like one.
  it.each(['EPIPE', 'ECONNRESET', 'ECONNREFUSED', 'EPERM', '', undefined, 42])(
    'an error with the code %s says nothing of the call: unavailable',
    async (code) => {
      const query: SqlQuery = async () => {
        throw Object.assign(new Error('broken'), { code });
      };
      expect(await failureOf(createSqlRpc(query).call('probe_list'))).toMatchObject({
        kind: 'unavailable',
        code: '',
      });
    },
  );
});

describe('createSupabaseRpc, and what stands between', () => {
  const rpcOf = async (status: number, body: string, headers: Record<string, string> = {}) => {
    const server = createServer((_request, response) => void response.writeHead(status, headers).end(body));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    return createSupabaseRpc({ url: `http://127.0.0.1:${port}`, secretKey: 'sb_secret_x' });
  };
  const json = { 'content-type': 'application/json' };

  it.each<{ status: number; body: string; headers?: Record<string, string>; kind: RpcErrorKind }>([
    { status: 502, body: '<html>Bad gateway</html>', kind: 'unavailable' },
    { status: 503, body: '', kind: 'unavailable' },
    { status: 504, body: 'upstream timeout', kind: 'unavailable' },
    { status: 429, body: '{"message":"slow down"}', headers: json, kind: 'unavailable' },
    { status: 200, body: '<html>Maintenance</html>', kind: 'unavailable' },
    {
      status: 500,
      body: '{"code":"57014","message":"canceling statement"}',
      headers: json,
      kind: 'unavailable',
    },
    { status: 504, body: '{"code":"PGRST003","message":"pool timeout"}', headers: json, kind: 'unavailable' },
    {
      status: 503,
      body: '{"code":"PGRST001","message":"no connection"}',
      headers: json,
      kind: 'unavailable',
    },
    { status: 401, body: '{"code":"PGRST301","message":"JWT"}', headers: json, kind: 'bug' },
    { status: 404, body: '{"code":"PGRST202","message":"no function"}', headers: json, kind: 'bug' },
    { status: 403, body: '{"code":"42501","message":"permission denied"}', headers: json, kind: 'bug' },
    { status: 400, body: '{"code":"DM030","message":"draw"}', headers: json, kind: 'rule' },
  ])('$status $body is $kind', async ({ status, body, headers, kind }) => {
    const rpc = await rpcOf(status, body, headers);
    expect(await failureOf(rpc.call('dm_claim', {}))).toMatchObject({ kind, functionName: 'dm_claim' });
  });

  const KEY_REFUSED = /^\w+: the API refused the key \(40[13]\): is SUPABASE_SECRET_KEY still valid\?$/;

  it.each([
    { status: 401, body: '{"message":"Invalid API key"}', isKey: true },
    { status: 403, body: '<html>Forbidden</html>', isKey: true },
    { status: 401, body: '{"code":"UNAUTHORIZED","message":"no"}', isKey: true },
    { status: 403, body: '{"code":"42501","message":"permission denied for function"}', isKey: false },
    { status: 401, body: '{"code":"PGRST301","message":"JWT"}', isKey: false },
    { status: 404, body: '{"message":"no Route matched"}', isKey: false },
  ])('$status $body speaks of the key: $isKey', async ({ status, body, isKey }) => {
    const { message } = await failureOf((await rpcOf(status, body, json)).call('dm_claim', {}));
    expect(KEY_REFUSED.test(message), message).toBe(isKey);
  });

  it('a wrong key is refused, and the key is in no error', async () => {
    const api = await startSupabase({ connection: {}, migrations });
    onTestFinished(() => api.close());
    const rpc = createSupabaseRpc({ url: api.url, secretKey: 'sb_secret_canary' });
    const error = await failureOf(rpc.call('dm_backlog'));
    expect(error.kind).toBe('bug');
    expect(error.message).toMatch(KEY_REFUSED);
    expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toContain('canary');
  });

  it('a key that no header can carry is in no error', async () => {
    const rpc = createSupabaseRpc({ url: 'http://127.0.0.1:9', secretKey: 'sb_secret_canary\nsecond' });
    const error = await failureOf(rpc.call('dm_backlog'));
    expect(error.message).toBe('dm_backlog: no answer (TypeError)');
    expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toContain('canary');
  });

  it('a refused connection is told by its code', async () => {
    const server = createTcpServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    const rpc = createSupabaseRpc({ url: `http://127.0.0.1:${port}`, secretKey: 'sb_secret_x' });
    const { message, kind } = await failureOf(rpc.call('dm_backlog'));
    expect({ message, kind }).toEqual({
      message: 'dm_backlog: no answer (ECONNREFUSED)',
      kind: 'unavailable',
    });
  });

  it.each([
    { status: 502, body: '<html>canary</html>' },
    { status: 400, body: '{"code":"a canary of a gateway","message":"canary"}' },
    { status: 400, body: '{"code":"22P02","message":"invalid input syntax: \\"canary\\""}' },
  ])(
    '$status $body is not repeated: a gateway or Postgres may quote what was sent',
    async ({ status, body }) => {
      const error = await failureOf((await rpcOf(status, body, json)).call('dm_claim', {}));
      expect(`${error.message} ${JSON.stringify(error)}`).not.toContain('canary');
      expect(error.message).toMatch(/^dm_claim: (answered \d{3}, and not|the database refused with 22P02)/);
    },
  );

  it('no answer within the time limit is unavailable', async () => {
    const server = createTcpServer(() => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const sockets = new Set<{ destroy(): void }>();
    server.on('connection', (socket) => sockets.add(socket));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const rpc = createSupabaseRpc({ url: `http://127.0.0.1:${port}`, secretKey: 'x', timeoutMs: 100 });
    expect(await failureOf(rpc.call('dm_claim'))).toMatchObject({ kind: 'unavailable', code: '' });
  });

  it('nobody there is unavailable, and is asked once: a call that may have been applied is never repeated here', async () => {
    let calls = 0;
    const rpc = createSupabaseRpc({
      url: 'http://127.0.0.1:1',
      secretKey: 'x',
      fetch: async () => {
        calls += 1;
        throw new TypeError('fetch failed');
      },
    });
    expect(await failureOf(rpc.call('dm_claim'))).toMatchObject({ kind: 'unavailable' });
    expect(calls).toBe(1);
  });
});

describe('classifyRpcFailure', () => {
  it.each<{ code: string; status: number; kind: RpcErrorKind }>([
    { code: 'DM001', status: 400, kind: 'rule' },
    { code: 'RN002', status: 0, kind: 'rule' },
    { code: 'DM0012', status: 400, kind: 'bug' },
    { code: 'XX000', status: 500, kind: 'unavailable' },
    { code: '08006', status: 503, kind: 'unavailable' },
    { code: '55P03', status: 500, kind: 'unavailable' },
    { code: '55006', status: 400, kind: 'bug' },
    { code: '42883', status: 404, kind: 'bug' },
    { code: '42501', status: 401, kind: 'bug' },
    { code: 'PGRST202', status: 404, kind: 'bug' },
    { code: 'PGRST000', status: 503, kind: 'unavailable' },
    { code: '', status: 0, kind: 'unavailable' },
    { code: '', status: 500, kind: 'unavailable' },
    { code: '', status: 408, kind: 'unavailable' },
    { code: '', status: 429, kind: 'unavailable' },
    // A gateway that refuses the key, or knows no such path: no retry helps.
    { code: '', status: 400, kind: 'bug' },
    { code: '', status: 401, kind: 'bug' },
    { code: '', status: 404, kind: 'bug' },
    { code: 'NEW01', status: 0, kind: 'bug' },
    { code: 'NEW01', status: 429, kind: 'unavailable' },
    { code: 'NEW01', status: 500, kind: 'bug' },
    { code: 'NEW01', status: 501, kind: 'bug' },
    { code: 'NEW01', status: 502, kind: 'unavailable' },
  ])('"$code" with status $status is $kind', ({ code, status, kind }) => {
    expect(classifyRpcFailure(code, status)).toBe(kind);
  });
});
