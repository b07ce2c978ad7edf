/**
 * What the world is made of, and the store that holds it. Data only: rules live beside it.
 */
import type { AccountStatus, Relation } from '../declarations.ts';

export interface Organization {
  readonly id: string;
  readonly name: string;
}

export interface Account {
  readonly id: string;
  name: string;
  /** The account's own LinkedIn id: the sender of its messages, the author of its posts. */
  providerId: string;
  publicIdentifier: string;
  status: AccountStatus;
  restricted: boolean;
  /** Messages in any 24 hours, or null for no limit. */
  messagesPer24h: number | null;
  limitAnswer: 'cannot_resend_yet' | 'too_many_requests';
  organizations: readonly Organization[];
  readonly createdAt: Date;
  readonly seq: number;
  /** Since when the store is stale, or null while the account is OK. */
  frozenAt: Date | null;
  /** Times in ms of own messages that the 24-hour limit still counts. */
  sentAtMs: number[];
}

export interface Person {
  readonly providerId: string;
  readonly name: string;
  readonly publicIdentifier: string;
  readonly headline: string;
  readonly relation: Relation;
  /** Exceptions to `relation`, by account id. */
  readonly relations: Readonly<Record<string, Relation>>;
  /** False for someone never declared, whose details are made up from the id. */
  readonly isDeclared: boolean;
}

/** A file that came with a write. The bytes are counted, not kept. */
export interface Attachment {
  readonly field: string;
  readonly fileName: string;
  readonly mimeType: string;
  readonly sizeBytes: number;
}

export interface Chat {
  readonly id: string;
  readonly accountId: string;
  readonly providerId: string;
  /** LinkedIn ids of the others: one in a 1:1 chat, more in a group. */
  readonly attendees: readonly string[];
  readonly subject: string | null;
  readonly isInmail: boolean;
  /** In the order they happened. */
  readonly messages: Message[];
  /** Whether a history sync was asked for and not yet reported as done. */
  isSyncing: boolean;
}

export interface Message {
  readonly id: string;
  readonly seq: number;
  readonly chatId: string;
  readonly accountId: string;
  readonly providerId: string;
  readonly senderId: string;
  readonly isSender: boolean;
  readonly text: string;
  readonly subject: string | null;
  readonly isInmail: boolean;
  readonly attachments: readonly Attachment[];
  /** When it happened on LinkedIn. */
  readonly at: Date;
  /** When the store shows it, provided the account is connected. */
  readonly visibleAt: Date;
  /** It happened while the account was not OK: nothing shows it before the reconnection. */
  readonly arrivedFrozen: boolean;
}

export interface Mention {
  readonly name: string;
  readonly profileId: string;
  readonly isCompany: boolean;
}

export interface Post {
  readonly id: string;
  /** LinkedIn knows one post by several ids; any of them finds it. */
  readonly shareId: string;
  readonly ugcId: string;
  readonly seq: number;
  readonly accountId: string;
  readonly authorId: string;
  readonly authorName: string;
  readonly authorPublicIdentifier: string | null;
  readonly isCompany: boolean;
  /** As published: mentions by name, the external link at the end. */
  readonly text: string;
  readonly repostOf: Post | null;
  readonly attachments: readonly Attachment[];
  readonly at: Date;
  readonly visibleAt: Date;
}

export interface Invitation {
  readonly id: string;
  readonly seq: number;
  readonly accountId: string;
  readonly recipientId: string;
  readonly text: string | null;
  readonly at: Date;
}

export interface Store {
  readonly accounts: Map<string, Account>;
  readonly people: Map<string, Person>;
  readonly chats: Map<string, Chat>;
  /** Chats by account and person, see `pairKey`. */
  readonly chatsByPair: Map<string, Chat[]>;
  readonly messages: Map<string, Message>;
  readonly posts: Map<string, Post>;
  readonly invitations: Map<string, Invitation>;
  /** LinkedIn ids by Unipile attendee id. */
  readonly attendees: Map<string, string>;
  /** Grows by one with every stored thing, across resets: the order of the world. */
  seq: number;
}

export function createStore(): Store {
  return {
    accounts: new Map(),
    people: new Map(),
    chats: new Map(),
    chatsByPair: new Map(),
    messages: new Map(),
    posts: new Map(),
    invitations: new Map(),
    attendees: new Map(),
    seq: 0,
  };
}

export function clearStore(store: Store): void {
  store.accounts.clear();
  store.people.clear();
  store.chats.clear();
  store.chatsByPair.clear();
  store.messages.clear();
  store.posts.clear();
  store.invitations.clear();
  store.attendees.clear();
}

export function pairKey(accountId: string, personId: string): string {
  return `${accountId}\n${personId}`;
}
