/** Unipile, asked once: whether it takes the key, what its clock says, and which LinkedIn accounts it has. */
import type { Effects } from '@revos/core/effects';
import { baseUrlOf } from '@revos/core/unipile';
import Type from 'typebox';
import { Value } from 'typebox/value';
import { type Asked, ask } from './ask.ts';
import { type Environment, readUnipile } from './env.ts';

const PAGES_MAX = 50;

const AccountPage = Type.Object({
  items: Type.Array(
    Type.Object({
      id: Type.String(),
      type: Type.String(),
      sources: Type.Optional(Type.Array(Type.Object({ status: Type.Optional(Type.String()) }))),
    }),
  ),
  cursor: Type.Optional(Type.Union([Type.String(), Type.Null()])),
});

export interface UnipileAccount {
  readonly id: string;
  readonly isConnected: boolean;
}

export type UnipileSeen =
  | { readonly kind: 'unreadable' }
  /** It did not answer with accounts. */
  | { readonly kind: 'failed'; readonly asked: Asked }
  | {
      readonly kind: 'reached';
      readonly accounts: readonly UnipileAccount[];
      readonly aheadMs: number | null;
    };

export async function lookAtUnipile(env: Environment, effects: Effects): Promise<UnipileSeen> {
  const config = readUnipile(env);
  if (config === null) return { kind: 'unreadable' };
  const accounts: UnipileAccount[] = [];
  let aheadMs: number | null = null;
  let cursor: string | null = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const url = new URL('accounts', baseUrlOf(config.dsn));
    url.searchParams.set('limit', '250');
    if (cursor !== null) url.searchParams.set('cursor', cursor);
    const asked = await ask(url.href, { headers: { 'x-api-key': config.apiKey } }, effects);
    if (asked.kind === 'no_answer' || asked.status !== 200 || !Value.Check(AccountPage, asked.body)) {
      return { kind: 'failed', asked };
    }
    aheadMs ??= asked.aheadMs;
    for (const { id, type, sources = [] } of asked.body.items) {
      if (type !== 'LINKEDIN') continue;
      accounts.push({ id, isConnected: sources.every(({ status }) => status === 'OK') });
    }
    cursor = asked.body.cursor ?? null;
    if (cursor === null) break;
  }
  return { kind: 'reached', accounts, aheadMs };
}
