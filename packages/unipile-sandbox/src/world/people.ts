/**
 * People: those declared, and everybody else.
 *
 * Anyone with a well-formed LinkedIn id exists and is a first-degree connection of every account,
 * with a name made up from the id, unless declared otherwise.
 */
import type { PersonDeclaration, Relation } from '../declarations.ts';
import { ApiError } from '../errors.ts';
import { isRecipientId, slugOf } from '../ids.ts';
import { tooMany } from '../shape.ts';
import type { Context } from './context.ts';
import type { Account, Person } from './model.ts';

const PEOPLE_MAX = 100_000;
const FIRST_NAMES = [
  'Ada',
  'Alan',
  'Barbara',
  'Donald',
  'Edsger',
  'Frances',
  'Grace',
  'Ken',
  'Lynn',
  'Radia',
];
const LAST_NAMES = [
  'Allen',
  'Conway',
  'Hopper',
  'Knuth',
  'Liskov',
  'Lovelace',
  'Perlman',
  'Ritchie',
  'Turing',
];

/**
 * Creates or changes a person. Only the fields given change. @throws {DeclarationError} when the
 * world is full
 */
export function declarePerson(context: Context, declared: PersonDeclaration): Person {
  const { people } = context.store;
  if (!people.has(declared.provider_id) && people.size >= PEOPLE_MAX) {
    throw tooMany('people', PEOPLE_MAX);
  }
  const before = personOf(context, declared.provider_id);
  const person: Person = {
    providerId: declared.provider_id,
    name: declared.name ?? before.name,
    publicIdentifier: declared.public_identifier ?? before.publicIdentifier,
    headline: declared.headline ?? before.headline,
    relation: declared.relation ?? before.relation,
    relations: declared.relations ?? before.relations,
    isDeclared: true,
  };
  people.set(person.providerId, person);
  return person;
}

/** The person behind an id; made up, always alike, when never declared. */
export function personOf(context: Context, providerId: string): Person {
  const declared = context.store.people.get(providerId);
  if (declared !== undefined) return declared;
  const { ids } = context;
  const first = FIRST_NAMES[ids.pick(`first/${providerId}`, FIRST_NAMES.length)] ?? 'Ada';
  const last = LAST_NAMES[ids.pick(`last/${providerId}`, LAST_NAMES.length)] ?? 'Lovelace';
  return {
    providerId,
    name: `${first} ${last}`,
    publicIdentifier: slugOf(`${first} ${last} ${ids.pick(`slug/${providerId}`, 1_000_000)}`),
    headline: 'Engineer',
    relation: 'connected',
    relations: {},
    isDeclared: false,
  };
}

/** How the account stands to the person. */
export function relationOf(person: Person, account: Account): Relation {
  return Object.hasOwn(person.relations, account.id)
    ? (person.relations[account.id] ?? person.relation)
    : person.relation;
}

/**
 * Refuses a recipient who cannot get this message.
 *
 * @throws {ApiError} invalid_recipient, no_connection_with_recipient, blocked_recipient, user_unreachable
 */
export function assertReachable(
  context: Context,
  account: Account,
  recipientId: string,
  how: { readonly api: string; readonly isInmail: boolean },
): void {
  if (!isRecipientId(recipientId, how.api)) throw new ApiError('invalid_recipient');
  const relation = relationOf(personOf(context, recipientId), account);
  if (relation === 'blocked') throw new ApiError('blocked_recipient');
  if (relation === 'unreachable') throw new ApiError('user_unreachable');
  if (relation === 'not_connected' && !how.isInmail) throw new ApiError('no_connection_with_recipient');
}

/** Finds by LinkedIn id or by slug. A slug is known only of those declared. */
export function findPerson(context: Context, identifier: string): Person | undefined {
  if (isRecipientId(identifier, 'sales_navigator') || isRecipientId(identifier, 'recruiter')) {
    return personOf(context, identifier);
  }
  for (const person of context.store.people.values()) {
    if (person.publicIdentifier === identifier) return person;
  }
  return undefined;
}
