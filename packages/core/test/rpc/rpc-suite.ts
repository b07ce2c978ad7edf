/** What every implementation of the rpc keeps, whatever stands between: one suite for all of them. */
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Rpc, RpcError, type RpcErrorKind, withClock } from '../../src/rpc/index.ts';

/** Functions that answer with what they were given, as the database understood it. */
export const PROBES = {
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
create function public.probe_bigint() returns bigint language sql as $$ select 9007199254740991 $$;
create function public.probe_text() returns text language sql as $$ select 'it''s "text"' $$;
create function public.probe_instant() returns timestamptz language sql as $$ select timestamptz '2026-03-02 09:30:00.123+00' $$;
create function public.probe_day() returns date language sql as $$ select date '2026-03-02' $$;
create function public.probe_role() returns jsonb language sql as $$ select to_jsonb(current_user) $$;
create function public.probe_rows() returns jsonb language sql as $$
  select jsonb_agg(jsonb_build_object('n', n)) from generate_series(1, 2500) as n
$$;
create function public.probe_refuse(p_code text, p_detail text default '') returns jsonb language plpgsql as $$
begin
  raise exception 'refused' using errcode = p_code, detail = p_detail;
end;
$$;
create sequence public.probe_calls;
create function public.probe_undone(p_code text, p_times integer) returns bigint language plpgsql as $$
declare
  -- Not undone with the call, so it counts those that were.
  v_call constant bigint := nextval('public.probe_calls');
begin
  if v_call <= p_times then
    raise exception 'undone' using errcode = p_code;
  end if;
  perform setval('public.probe_calls', 1, false);
  return v_call;
end;
$$;
create function public.probe_secret() returns jsonb language sql as $$ select '1'::jsonb $$;
revoke execute on function public.probe_secret from public, anon, authenticated, service_role;
grant execute on function public.probe_echo, public.probe_null, public.probe_list, public.probe_number,
  public.probe_bigint, public.probe_text, public.probe_instant, public.probe_day, public.probe_role, public.probe_rows,
  public.probe_refuse, public.probe_undone to service_role;
grant usage, update on sequence public.probe_calls to service_role;
`,
};

export interface Implementation {
  readonly rpc: Rpc;
  /** Takes the database away. */
  lose(): Promise<void>;
  close(): Promise<void>;
}

/** Lite, under the REST API, writes each database error that it answers with to the console. */
export function silenceLite(): void {
  beforeEach(() => {
    const silenced = vi.spyOn(console, 'error').mockImplementation(() => {});
    return () => silenced.mockRestore();
  });
}

/** What a call fails with. */
export async function failureOf(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    (answer) => new Error(`answered ${JSON.stringify(answer)}`),
    (failure: unknown) => failure,
  );
  if (error instanceof RpcError) return error;
  throw error;
}

const UUIDS = ['00000000-0000-4000-8000-00000000000a', '00000000-0000-4000-8000-00000000000b'];

/** @param open a database with `PROBES` */
export function describeRpc(implementationName: string, open: () => Promise<Implementation>): void {
  describe(implementationName, () => {
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
      { name: 'probe_bigint', answer: Number.MAX_SAFE_INTEGER },
      { name: 'probe_text', answer: `it's "text"` },
      { name: 'probe_instant', answer: '2026-03-02T09:30:00.123+00:00' },
      { name: 'probe_day', answer: '2026-03-02' },
      { name: 'probe_role', answer: 'service_role' },
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

    it.each(['40001', '40P01'])('a call that Postgres undid for %s is made again', async (code) => {
      expect(await rpc.call('probe_undone', { code, times: 2 })).toBe(3);
      expect(await rpc.call('probe_undone', { code: '57014', times: 0 })).toBe(1);
    });

    it('a call that may have been applied is not', async () => {
      expect(await failureOf(rpc.call('probe_undone', { code: '57014', times: 1 }))).toMatchObject({
        code: '57014',
      });
      expect(await rpc.call('probe_undone', { code: '57014', times: 1 })).toBe(2);
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
}
