/**
 * Rpc over a direct connection: the same SQL functions, without the REST API between.
 *
 * Arguments travel as one JSON value and are given their types by the function's own signature, as
 * PostgREST does it, so that both ways read an argument alike.
 */
import { classifyRpcFailure, failureText, type Rpc, RpcError } from './rpc.ts';

/** One parameterised statement on a connection or pool. It throws errors with a SQLSTATE in `code`. */
export type SqlQuery = (
  text: string,
  values: readonly unknown[],
) => Promise<readonly Record<string, unknown>[]>;

const SIGNATURE = `
  select argument.name, format_type(argument.type, null) as type
  from pg_proc as function
  cross join lateral unnest(function.proargnames, function.proargtypes::oid[]) as argument (name, type)
  where function.pronamespace = 'public'::regnamespace and function.proname = $1 and argument.type is not null`;

const NAME = /^[a-z][a-z0-9_]*$/;

export function createSqlRpc(query: SqlQuery, close: () => Promise<void> = async () => {}): Rpc {
  const signatures = new Map<string, Promise<ReadonlyMap<string, string>>>();

  const signatureOf = (name: string): Promise<ReadonlyMap<string, string>> => {
    const known = signatures.get(name);
    if (known !== undefined) return known;
    const read = query(SIGNATURE, [name]).then(
      (rows) => new Map(rows.map((row) => [String(row.name), String(row.type)])),
    );
    signatures.set(name, read);
    // Neither a failure nor an absence is remembered: the function may come with a migration.
    const forgetIfEmpty = (signature: ReadonlyMap<string, string>) => {
      if (signature.size === 0) signatures.delete(name);
    };
    read.then(forgetIfEmpty, () => signatures.delete(name));
    return read;
  };

  return {
    async call<Result>(name: string, args: Readonly<Record<string, unknown>> = {}): Promise<Result> {
      if (!NAME.test(name)) throw new RangeError(`not the name of a function: ${name}`);
      const given = Object.entries(args).filter(([, value]) => value !== undefined);
      try {
        const signature = await signatureOf(name);
        const parameters = given.map(([key]) => {
          const type = signature.get(`p_${key}`);
          if (type === undefined) throw new RpcError('bug', name, '42883', `has no parameter p_${key}`);
          return { parameter: `p_${key}`, type };
        });
        const statement =
          parameters.length === 0
            ? `select public.${name}() as result`
            : `select public.${name}(${parameters.map(({ parameter }) => `${parameter} => args.${parameter}`).join(', ')}) as result
               from json_to_record($1::json) as args (${parameters.map(({ parameter, type }) => `${parameter} ${type}`).join(', ')})`;
        const values =
          parameters.length === 0
            ? []
            : [JSON.stringify(Object.fromEntries(given.map(([key, value]) => [`p_${key}`, value])))];
        const rows = await query(statement, values);
        return rows[0]?.result as Result;
      } catch (error) {
        throw error instanceof RpcError ? error : toRpcError(name, error);
      }
    },
    close,
  };
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
    kind === 'rule' ? text : failureText(state, text),
    typeof detail === 'string' ? detail : null,
    { cause: error },
  );
}
