export { classifyRpcFailure, type Rpc, RpcError, type RpcErrorKind, withClock } from './rpc.ts';
export { SCHEMA_VERSION } from './schema-version.ts';
export { createSqlRpc, type SqlQuery } from './sql.ts';
export { createSupabaseRpc, type SupabaseRpcOptions } from './supabase.ts';
export { withUndoneRepeated } from './undone.ts';
