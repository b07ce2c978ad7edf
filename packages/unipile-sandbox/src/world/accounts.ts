/**
 * Accounts: declaring them, their status, and whether one may write or read live.
 */
import type { AccountDeclaration, AccountStatus } from '../declarations.ts';
import { ApiError } from '../errors.ts';
import { slugOf } from '../ids.ts';
import { tooMany } from '../shape.ts';
import { accountWire } from '../wire/account.ts';
import type { Context, Outcome } from './context.ts';
import { type Account, pairKey } from './model.ts';
import { type ListQuery, page } from './pages.ts';

/** Accounts a world holds. */
const ACCOUNTS_MAX = 10_000;

/**
 * Creates an account, or changes the one with this id. Only the fields given change.
 *
 * @param announce whether a creation is told to webhooks; off for accounts that were there from the start
 * @throws {DeclarationError} when the world is full
 */
export function declareAccount(context: Context, declared: AccountDeclaration, announce: boolean): Account {
  const { store, ids, now, events } = context;
  const known = declared.id === undefined ? undefined : store.accounts.get(declared.id);
  if (known !== undefined) return updateAccount(context, known, declared);
  if (store.accounts.size >= ACCOUNTS_MAX) throw tooMany('accounts', ACCOUNTS_MAX);
  const id = declared.id ?? ids.next('account');
  const name = declared.name ?? `Account ${id.slice(0, 6)}`;
  const status = declared.status ?? 'OK';
  const createdAt = now();
  const account: Account = {
    id,
    name,
    providerId: declared.provider_id ?? ids.providerIdOf(`account/${id}`),
    publicIdentifier: declared.public_identifier ?? slugOf(name),
    status,
    restricted: declared.restricted ?? false,
    messagesPer24h: declared.messages_per_24h ?? null,
    limitAnswer: declared.limit_answer ?? 'cannot_resend_yet',
    organizations: declared.organizations ?? [],
    createdAt,
    seq: ++store.seq,
    frozenAt: status === 'OK' ? null : createdAt,
    sentAtMs: [],
  };
  store.accounts.set(id, account);
  store.attendees.set(ids.of('attendee', `${id}/${account.providerId}`), account.providerId);
  if (announce) events.push({ kind: 'account_status', accountId: id, message: 'CREATION_SUCCESS' });
  return account;
}

function updateAccount(context: Context, account: Account, declared: AccountDeclaration): Account {
  account.name = declared.name ?? account.name;
  account.publicIdentifier = declared.public_identifier ?? account.publicIdentifier;
  if (declared.provider_id !== undefined && declared.provider_id !== account.providerId) {
    account.providerId = declared.provider_id;
    const attendeeId = context.ids.of('attendee', `${account.id}/${account.providerId}`);
    context.store.attendees.set(attendeeId, account.providerId);
  }
  account.restricted = declared.restricted ?? account.restricted;
  if (declared.messages_per_24h !== undefined) account.messagesPer24h = declared.messages_per_24h;
  account.limitAnswer = declared.limit_answer ?? account.limitAnswer;
  account.organizations = declared.organizations ?? account.organizations;
  if (declared.status !== undefined) setStatus(context, account, declared.status);
  return account;
}

/** Webhooks hear of transitions only; a return to OK also lets the store catch up. */
export function setStatus(context: Context, account: Account, status: AccountStatus): void {
  if (status === account.status) return;
  const wasConnecting = account.status === 'CONNECTING';
  account.status = status;
  if (status !== 'OK') {
    account.frozenAt ??= context.now();
    context.events.push({ kind: 'account_status', accountId: account.id, message: status });
    return;
  }
  account.frozenAt = null;
  if (!wasConnecting) {
    context.events.push({ kind: 'account_status', accountId: account.id, message: 'RECONNECTED' });
  }
  context.events.push({ kind: 'account_status', accountId: account.id, message: 'OK' });
}

/** @throws {ApiError} missing_parameters, resource_not_found */
export function requireAccount(context: Context, accountId: string | undefined): Account {
  if (accountId === undefined || accountId === '') {
    throw new ApiError('missing_parameters', 'account_id is required.');
  }
  const account = context.store.accounts.get(accountId);
  if (account === undefined) throw new ApiError('resource_not_found', 'Account not found.');
  return account;
}

/**
 * The account, if LinkedIn would act for it now. Reads that go to LinkedIn itself (posts, profiles,
 * invitations) need this too; reads of the message store do not.
 *
 * @throws {ApiError} also disconnected_account, account_restricted
 */
export function requireLiveAccount(context: Context, accountId: string | undefined): Account {
  const account = requireAccount(context, accountId);
  assertLive(account);
  return account;
}

export function assertLive(account: Account): void {
  if (account.restricted) throw new ApiError('account_restricted');
  if (account.status !== 'OK') throw new ApiError('disconnected_account');
}

export function getAccount(context: Context, accountId: string): Outcome {
  return { status: 200, body: accountWire(requireAccount(context, accountId)) };
}

/** An empty list has no `cursor` key: seen so on the real service. */
export function listAccounts(context: Context, query: ListQuery): Outcome {
  const accounts = [...context.store.accounts.values()];
  const found = page({
    list: 'accounts',
    query,
    limits: { fallback: 100, max: 250 },
    rows: () => accounts,
    keyOf: (account) => ({ atMs: account.createdAt.getTime(), seq: account.seq }),
  });
  const items = found.items.map(accountWire);
  const body = accounts.length === 0 ? {} : { cursor: found.cursor };
  return { status: 200, body: { object: 'AccountList', items, ...body } };
}

/** A healthy account restarts without a word; one that lost its credentials cannot. */
export function restartAccount(context: Context, accountId: string): Outcome {
  const account = requireAccount(context, accountId);
  const isHopeless = account.status === 'CREDENTIALS' || account.status === 'PERMISSIONS';
  if (isHopeless) return { status: 200, body: { object: 'AccountFailedToRestart', account_id: account.id } };
  setStatus(context, account, 'OK');
  return { status: 200, body: { object: 'AccountRestarted', account_id: account.id } };
}

/** Removes the account and what the store held for it. The log of effects keeps what happened. */
export function deleteAccount(context: Context, accountId: string): Outcome {
  const { store, events } = context;
  const account = requireAccount(context, accountId);
  store.accounts.delete(account.id);
  for (const chat of store.chats.values()) {
    if (chat.accountId !== account.id) continue;
    store.chats.delete(chat.id);
    for (const message of chat.messages) store.messages.delete(message.id);
    for (const person of chat.attendees) store.chatsByPair.delete(pairKey(account.id, person));
  }
  for (const post of store.posts.values()) if (post.accountId === account.id) store.posts.delete(post.id);
  for (const invitation of store.invitations.values()) {
    if (invitation.accountId === account.id) store.invitations.delete(invitation.id);
  }
  events.push({ kind: 'account_status', accountId: account.id, message: 'DELETED' });
  return { status: 200, body: { object: 'AccountDeleted' } };
}
