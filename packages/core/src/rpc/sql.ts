/**
 * Rpc over a direct connection: the same SQL functions, without the REST API between.
 *
 * Arguments travel as one JSON value and are given their types by the function's own signature, as
 * PostgREST does it, so that both ways read an argument alike.
 */
import { classifyRpcFailure, failureText, type Rpc, RpcError } from './rpc.ts';

/**
 * One parameterised statement on a connection or pool. It throws errors with a SQLSTATE in `code`.
 *
 * @param statementTimeout what the function sets for itself, as Postgres writes it: `60s`. Its own
 *   setting comes too late, since Postgres starts the clock with the statement; so whoever has a
 *   limit of its own must set it before.
 */
export type SqlQuery = (
  text: string,
  values: readonly unknown[],
  statementTimeout?: string,
) => Promise<readonly Record<string, unknown>[]>;

/** One row a parameter; one with nothing in it for a function that has none. */
const SIGNATURE = `
  select argument.name, format_type(argument.type, null) as type,
    substring(setting.text from '^statement_timeout=(.*)$') as statement_timeout
  from pg_proc as function
  left join lateral unnest(function.proargnames, function.proargtypes::oid[]) as argument (name, type)
    on argument.type is not null
  left join lateral unnest(function.proconfig) as setting (text) on setting.text like 'statement_timeout=%'
  where function.pronamespace = 'public'::regnamespace and function.proname = $1`;

interface Signature {
  /** By the parameter's name. */
  readonly types: ReadonlyMap<string, string>;
  readonly statementTimeout: string | undefined;
}

function toSignature(rows: readonly Record<string, unknown>[]): Signature {
  const timeout = rows[0]?.statement_timeout;
  return {
    types: new Map(
      rows.filter(({ name }) => name !== null).map(({ name, type }) => [String(name), String(type)]),
    ),
    statementTimeout: typeof timeout === 'string' ? timeout : undefined,
  };
}

const NAME = /^[a-z][a-z0-9_]*$/;

export function createSqlRpc(query: SqlQuery, close: () => Promise<void> = async () => {}): Rpc {
  const signatures = new Map<string, Promise<Signature>>();

  const signatureOf = (name: string): Promise<Signature> => {
    const known = signatures.get(name);
    if (known !== undefined) return known;
    const read = query(SIGNATURE, [name]).then((rows) => {
      // An absence is not remembered: the function may come with a migration.
      if (rows.length === 0) signatures.delete(name);
      return toSignature(rows);
    });
    signatures.set(name, read);
    read.catch(() => signatures.delete(name));
    return read;
  };

  return {
    async call<Result>(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<Result> {
      if (!NAME.test(name)) throw new RangeError(`not the name of a function: ${name}`);
      const given = Object.entries(args).filter(([, value]) => value !== undefined);
      try {
        const { types, statementTimeout } = await signatureOf(name);
        const parameters = given.map(([key]) => {
          const type = types.get(`p_${key}`);
          if (type === undefined) throw new RpcError('bug', name, '42883', `has no parameter p_${key}`);
          return { parameter: `p_${key}`, type };
        });
        const values =
          given.length === 0
            ? []
            : [JSON.stringify(Object.fromEntries(given.map(([key, value]) => [`p_${key}`, value])))];
        const rows = await query(statementOf(name, parameters), values, statementTimeout);
        return rows[0]?.result as Result;
      } catch (error) {
        const failure = error instanceof RpcError ? error : toRpcError(name, error);
        // The function may have been replaced by one with other parameters.
        if (failure.kind === 'bug') signatures.delete(name);
        throw failure;
      }
    },
    close,
  };
}

/** As JSON, as PostgREST answers: a timestamp as ISO 8601, and a bigint as a number. */
function statementOf(
  name: string,
  parameters: ReadonlyArray<{ readonly parameter: string; readonly type: string }>,
): string {
  if (parameters.length === 0) return `select to_json(public.${name}()) as result`;
  const named = parameters.map(({ parameter }) => `${parameter} => args.${parameter}`).join(', ');
  const typed = parameters.map(({ parameter, type }) => `${parameter} ${type}`).join(', ');
  return `select to_json(public.${name}(${named})) as result from json_to_record($1::json) as args (${typed})`;
}

/** Five characters, and never letters alone, as the codes of a socket are (`EPIPE`): those are no answer. */
const SQLSTATE = /^(?=.*\d)[0-9A-Z]{5}$/;

function toRpcError(name: string, error: unknown): RpcError {
  const { code, message, detail } = error as { code?: unknown; message?: unknown; detail?: unknown };
  const state = typeof code === 'string' && SQLSTATE.test(code) ? code : '';
  const kind = classifyRpcFailure(state, state === '' ? 0 : 400);
  const text = String(message ?? error);
  return new RpcError(
    kind,
    name,
    state,
    kind === 'rule' ? text : state === '' ? noAnswer(code) : failureText(state, text),
    typeof detail === 'string' ? detail : null,
    { cause: error },
  );
}

/** What a socket or a handshake failed of, by its code: its text names hosts. */
const noAnswer = (code: unknown): string =>
  typeof code === 'string' && /^[A-Z][A-Z0-9_]{2,60}$/.test(code) ? `no answer (${code})` : 'no answer';
