export { classifyRpcFailure, type Rpc, RpcError, type RpcErrorKind, withClock } from './rpc.ts';
export { createSqlRpc, type SqlQuery } from './sql.ts';
export { createSupabaseRpc, type SupabaseRpcOptions } from './supabase.ts';
