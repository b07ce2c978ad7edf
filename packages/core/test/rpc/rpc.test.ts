import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { openPglite, readMigrations, startSupabase } from '@revos/local-stack';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import {
  classifyRpcFailure,
  createSqlRpc,
  createSupabaseRpc,
  type RpcErrorKind,
  type SqlQuery,
  withUndoneRepeated,
} from '../../src/rpc/index.ts';
import { describeRpc, failureOf, type Implementation, PROBES, silenceLite } from './rpc-suite.ts';

const migrationsAndProbes = async () => [...(await readMigrations()), PROBES];

async function overSupabase(): Promise<Implementation> {
  const api = await startSupabase({ connection: {}, migrations: await migrationsAndProbes() });
  const rpc = createSupabaseRpc({ url: api.url, secretKey: api.secretKey });
  return { rpc, lose: () => api.close(), close: async () => {} };
}

async function overPglite(): Promise<Implementation> {
  const db = await openPglite({ migrations: await migrationsAndProbes() });
  await db.exec('set role service_role');
  const query: SqlQuery = async (text, values) =>
    (await db.query<Record<string, unknown>>(text, [...values])).rows;
  const rpc = withUndoneRepeated(createSqlRpc(query, () => db.close()));
  return { rpc, lose: () => db.close(), close: async () => {} };
}

silenceLite();

describeRpc('supabase-js over the REST API', overSupabase);
describeRpc('SQL over PGlite', overPglite);

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
    const api = await startSupabase({ connection: {}, migrations: await migrationsAndProbes() });
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

  it.each([301, 302, 303, 307, 308])(
    'a redirect (%i) is not followed: the key stays here, and nobody is believed',
    async (status) => {
      const elsewhere: string[] = [];
      const other = createServer((request, response) => {
        elsewhere.push(JSON.stringify(request.headers));
        response.writeHead(200, json).end('{"due":0}');
      });
      other.listen(0, '127.0.0.1');
      await once(other, 'listening');
      onTestFinished(() => void other.close());
      const location = `http://127.0.0.1:${(other.address() as AddressInfo).port}/rest/v1/rpc/dm_backlog`;
      const error = await failureOf((await rpcOf(status, '', { location })).call('dm_backlog', {}));
      expect(error.kind).toBe('unavailable');
      expect(error.message).toBe(
        `dm_backlog: answered ${status}, a redirect, which is not followed: is SUPABASE_URL still right?`,
      );
      expect(elsewhere).toEqual([]);
    },
  );

  it('an answer without end is given up, and is unavailable', async () => {
    let sentMb = 0;
    const server = createServer((_request, response) => {
      response.writeHead(200, json).write('"');
      const megabyte = 'x'.repeat(1_048_576);
      const more = (): void => {
        for (;;) {
          if (response.destroyed) return;
          sentMb += 1;
          if (!response.write(megabyte)) return void response.once('drain', more);
        }
      };
      more();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const rpc = createSupabaseRpc({ url: `http://127.0.0.1:${port}`, secretKey: 'x' });
    expect(await failureOf(rpc.call('dm_backlog'))).toMatchObject({
      kind: 'unavailable',
      message: 'dm_backlog: no answer (AnswerTooLong)',
    });
    expect(sentMb).toBeLessThan(100);
  });

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
