/**
 * Profiles, relations and invitations: reads that go to LinkedIn itself, and the invitation.
 */
import { ApiError } from '../errors.ts';
import { isRecipientId } from '../ids.ts';
import { invitationWire, ownProfileWire, profileWire, relationWire } from '../wire/user.ts';
import { requireLiveAccount } from './accounts.ts';
import type { Context, Outcome } from './context.ts';
import type { Account, Invitation, Person } from './model.ts';
import { type ListQuery, page } from './pages.ts';
import { findPerson, personOf, relationOf } from './people.ts';
import { assertRoom } from './sending.ts';

export const INVITATION_LENGTH_MAX = 300;

export interface InviteRequest {
  readonly accountId?: string | undefined;
  readonly providerId?: string | undefined;
  readonly message?: string | undefined;
}

export function ownProfile(context: Context, accountId: string | undefined): Outcome {
  return { status: 200, body: ownProfileWire(context, requireLiveAccount(context, accountId)) };
}

export function profile(context: Context, identifier: string, accountId: string | undefined): Outcome {
  const account = requireLiveAccount(context, accountId);
  const isSelf = identifier === account.providerId || identifier === account.publicIdentifier;
  const person = isSelf ? ownerAsPerson(account) : findPerson(context, identifier);
  if (person === undefined) throw new ApiError('invalid_recipient');
  const invitation = pendingInvitation(context, account, person.providerId);
  const isConnected = !isSelf && relationOf(person, account) !== 'not_connected';
  return { status: 200, body: profileWire(person, { isSelf, isConnected, invitation }) };
}

function ownerAsPerson(account: Account): Person {
  return {
    providerId: account.providerId,
    name: account.name,
    publicIdentifier: account.publicIdentifier,
    headline: 'Account owner',
    relation: 'connected',
    relations: {},
    isDeclared: true,
  };
}

/** Someone nobody declared may be invited, even though they may also be written to. */
export function invite(context: Context, request: InviteRequest): Outcome {
  const { providerId, message } = request;
  if (providerId === undefined || providerId === '') {
    throw new ApiError('missing_parameters', 'provider_id is required.');
  }
  const account = requireLiveAccount(context, request.accountId);
  if (message !== undefined && message.length > INVITATION_LENGTH_MAX) {
    throw new ApiError('too_many_characters', `message must be at most ${INVITATION_LENGTH_MAX} characters.`);
  }
  if (!isRecipientId(providerId)) throw new ApiError('invalid_recipient');
  const person = personOf(context, providerId);
  const relation = relationOf(person, account);
  if (relation === 'blocked') throw new ApiError('blocked_recipient');
  if (relation === 'unreachable') throw new ApiError('user_unreachable');
  if (relation === 'connected' && person.isDeclared) throw new ApiError('already_connected');
  if (pendingInvitation(context, account, providerId) !== undefined) {
    throw new ApiError('already_invited_recently');
  }
  assertRoom(context);
  const at = context.now();
  const invitation: Invitation = {
    id: context.ids.nextPostId(at),
    seq: ++context.store.seq,
    accountId: account.id,
    recipientId: providerId,
    text: message ?? null,
    at,
  };
  context.store.invitations.set(invitation.id, invitation);
  context.effects.append({
    kind: 'invitation',
    account_id: account.id,
    recipient_id: providerId,
    chat_id: null,
    id: invitation.id,
    text: message ?? '',
    attachments: [],
    at: at.toISOString(),
  });
  return { status: 200, body: { object: 'UserInvitationSent', invitation_id: invitation.id } };
}

function pendingInvitation(context: Context, account: Account, recipientId: string): Invitation | undefined {
  for (const invitation of context.store.invitations.values()) {
    if (invitation.accountId === account.id && invitation.recipientId === recipientId) return invitation;
  }
  return undefined;
}

export function listInvitationsSent(context: Context, query: ListQuery): Outcome {
  const account = requireLiveAccount(context, query.accountId);
  const found = page({
    list: `invitations/${account.id}`,
    query,
    limits: { fallback: 10, max: 100 },
    rows: () =>
      [...context.store.invitations.values()].filter((invitation) => invitation.accountId === account.id),
    keyOf: (invitation) => ({ atMs: invitation.at.getTime(), seq: invitation.seq }),
  });
  const items = found.items.map((invitation) =>
    invitationWire(invitation, personOf(context, invitation.recipientId), context.now()),
  );
  return { status: 200, body: { object: 'InvitationList', items, cursor: found.cursor } };
}

export function cancelInvitation(
  context: Context,
  invitationId: string,
  accountId: string | undefined,
): Outcome {
  const account = requireLiveAccount(context, accountId);
  const invitation = context.store.invitations.get(invitationId);
  if (invitation === undefined || invitation.accountId !== account.id) {
    throw new ApiError('resource_not_found', 'Invitation not found.');
  }
  context.store.invitations.delete(invitationId);
  return { status: 200, body: { object: 'InvitationCanceled' } };
}

/** The people declared as connected to the account. */
export function listRelations(context: Context, query: ListQuery): Outcome {
  const account = requireLiveAccount(context, query.accountId);
  const people = [...context.store.people.values()];
  const found = page({
    list: `relations/${account.id}`,
    query,
    limits: { fallback: 100, max: 1_000 },
    rows: () =>
      people
        .map((person, index) => ({ person, index }))
        .filter(({ person }) => relationOf(person, account) === 'connected'),
    keyOf: ({ index }) => ({ atMs: account.createdAt.getTime(), seq: index }),
  });
  const items = found.items.map(({ person }) => relationWire(context, person, account));
  return { status: 200, body: { object: 'UserRelationsList', items, cursor: found.cursor } };
}
