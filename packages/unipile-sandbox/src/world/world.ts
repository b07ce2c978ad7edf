/**
 * The world behind the API: accounts, people, chats, posts, and what goes wrong.
 *
 * Pure state with an injected clock and an injected source of chance: the same calls in the same
 * order at the same times, with the same draws, give the same world. It has no timers and knows
 * nothing of HTTP; every rule about effects, visibility, limits and faults is here.
 */
import {
  AccountDeclaration,
  type AccountStatus,
  IncomingMessage,
  PersonDeclaration,
} from '../declarations.ts';
import type { Fault, FaultReport } from '../faults.ts';
import { createIds } from '../ids.ts';
import { checkFault, checkShape } from '../shape.ts';
import { type Notification, notificationOf } from '../wire/webhook-event.ts';
import * as accounts from './accounts.ts';
import type { Circumstances, Context, Outcome } from './context.ts';
import { createEffectLog, type Effect, type EffectFilter } from './effect-log.ts';
import { createEventQueue } from './events.ts';
import { type Exchange, openExchange } from './exchange.ts';
import {
  type Candidate,
  createFaultPlan,
  type FaultPlan,
  type Operation,
  type Strike,
} from './fault-plan.ts';
import { type Concurrency, createInFlight, type InFlight } from './in-flight.ts';
import * as inbox from './inbox.ts';
import * as members from './members.ts';
import { type Account, clearStore, createStore, type Message, type Person } from './model.ts';
import type { ListQuery } from './pages.ts';
import { declarePerson } from './people.ts';
import * as posts from './posts.ts';
import * as sending from './sending.ts';

export interface WorldOptions {
  /** Default: the real clock. */
  readonly now?: () => Date;
  /** Uniform in [0, 1). Default: `Math.random`. */
  readonly random?: () => number;
  /** There from the start, and again after a reset. */
  readonly accounts?: readonly AccountDeclaration[];
  readonly people?: readonly PersonDeclaration[];
  /** Scripted from the start, and again after a reset. */
  readonly faults?: readonly Fault[];
  /** How long after it happened reads show a message or a post. Default 0. */
  readonly visibilityDelayMs?: number;
  /** Posts show `https://lnkd.in/…` for links over 26 characters, as LinkedIn does. Default false. */
  readonly shortLinks?: boolean;
  /** How long every answer takes, drawn evenly between the two. Default 0. */
  readonly latencyMs?: { readonly min: number; readonly max: number };
  /** When an effect becomes true: as the latency starts or (the default) as it ends. */
  readonly effectAt?: 'start' | 'end';
  /** Entries the log of effects keeps. Default 100,000. */
  readonly effectsMax?: number;
  /** Things the store holds before it refuses writes with 503. Default 500,000. */
  readonly storedMax?: number;
}

/** Requests a client can make. Each gives an exchange, subject to faults. */
export interface WorldApi {
  startChat(request: sending.StartChatRequest): Exchange;
  sendMessage(request: sending.SendMessageRequest): Exchange;
  createPost(request: posts.CreatePostRequest): Exchange;
  invite(request: members.InviteRequest): Exchange;
  cancelInvitation(invitationId: string, accountId: string | undefined): Exchange;
  restartAccount(accountId: string): Exchange;
  deleteAccount(accountId: string): Exchange;
  listAccounts(query?: ListQuery): Exchange;
  getAccount(accountId: string): Exchange;
  listChats(query?: ListQuery): Exchange;
  getChat(chatId: string): Exchange;
  syncChat(chatId: string): Exchange;
  listMessagesOfChat(chatId: string, query?: ListQuery): Exchange;
  listMessages(query?: ListQuery): Exchange;
  getMessage(messageId: string): Exchange;
  listChatsOfAttendee(identifiers: string, query?: ListQuery): Exchange;
  listMessagesOfAttendee(identifiers: string, query?: ListQuery): Exchange;
  getPost(postId: string, accountId: string | undefined): Exchange;
  listPostsOfUser(identifier: string, query: ListQuery): Exchange;
  ownProfile(accountId: string | undefined): Exchange;
  profile(identifier: string, accountId: string | undefined): Exchange;
  listInvitationsSent(query: ListQuery): Exchange;
  listRelations(query: ListQuery): Exchange;
  /** Anything else that belongs to no account, subject to faults that match `any`. */
  manage(perform: () => Outcome): Exchange;
}

export interface World extends WorldApi {
  now(): Date;
  /** A fresh id in the service's own form, for things kept outside the world. */
  nextId(kind: string): string;
  /** In the order they were declared. */
  accounts(): readonly Account[];
  /** Creates or updates. @throws {DeclarationError} naming every bad field */
  declareAccount(declared: AccountDeclaration): Account;
  declarePerson(declared: PersonDeclaration): Person;
  /** @throws {ApiError} when there is no such account */
  setAccountStatus(accountId: string, status: AccountStatus): void;
  /** A message that does not come through the API: a reply, or something the owner typed on LinkedIn. */
  receiveMessage(incoming: IncomingMessage): Message;
  /** @returns ids of the faults @throws {DeclarationError} */
  addFaults(faults: readonly Fault[]): string[];
  faults(): FaultReport[];
  clearFaults(): void;
  effects(filter?: EffectFilter): readonly Effect[];
  /** Effects that fell out of the log's ring. */
  effectsTruncatedCount(): number;
  /** Writes in flight by account, now and at most. */
  concurrency(): Concurrency[];
  /** Removes and returns what webhooks should be told now. */
  takeDueNotifications(): Notification[];
  /** When the next one becomes due by time alone, or null. */
  nextNotificationAt(): Date | null;
  /** Calls `listener` whenever notifications may have become due. Returns its own undoing. */
  onNotifications(listener: () => void): () => void;
  notificationsDroppedCount(): number;
  /** Back to what the options declared. Exchanges under way have no effect any more. */
  reset(): void;
}

const NOTIFICATIONS_PENDING_MAX = 10_000;
const NO_WAIT = { min: 0, max: 0 };

export function createWorld(options: WorldOptions = {}): World {
  const now = options.now ?? (() => new Date());
  const random = options.random ?? Math.random;
  const ids = createIds(random);
  const context: Context = {
    now,
    ids,
    store: createStore(),
    effects: createEffectLog(options.effectsMax ?? 100_000),
    events: createEventQueue(NOTIFICATIONS_PENDING_MAX),
    visibilityDelayMs: options.visibilityDelayMs ?? 0,
    isShorteningLinks: options.shortLinks ?? false,
    storedMax: options.storedMax ?? 500_000,
  };
  const plan = createFaultPlan(random, () => ids.next('fault'));
  const flights = createInFlight();
  let epoch = 0;

  const open = createOpener({ context, plan, flights, options, random, epochOf: () => epoch });
  const populate = (): void => {
    for (const declared of options.accounts ?? []) {
      accounts.declareAccount(context, checkShape(AccountDeclaration, declared, 'accounts'), false);
    }
    for (const declared of options.people ?? []) {
      declarePerson(context, checkShape(PersonDeclaration, declared, 'people'));
    }
    plan.add((options.faults ?? []).map((fault) => checkFault(fault, 'faults')));
  };
  populate();

  return {
    ...createApi(context, open),
    now,
    nextId: (kind) => ids.next(kind),
    accounts: () => [...context.store.accounts.values()],
    declareAccount: (declared) =>
      accounts.declareAccount(context, checkShape(AccountDeclaration, declared), true),
    declarePerson: (declared) => declarePerson(context, checkShape(PersonDeclaration, declared)),
    setAccountStatus: (accountId, status) =>
      accounts.setStatus(context, accounts.requireAccount(context, accountId), status),
    receiveMessage: (incoming) => sending.receiveMessage(context, checkShape(IncomingMessage, incoming)),
    addFaults: (faults) => plan.add(faults.map((fault) => checkFault(fault))),
    faults: () => plan.list(),
    clearFaults: () => plan.clear(),
    effects: (filter) => context.effects.list(filter),
    effectsTruncatedCount: () => context.effects.truncatedCount,
    concurrency: () => flights.list(),
    takeDueNotifications: () =>
      context.events
        .takeDue((message) => inbox.isVisible(context, message))
        .flatMap((event) => notificationOf(context, event) ?? []),
    nextNotificationAt: () => inbox.nextVisibleAt(context, context.events.pendingMessages()),
    onNotifications: (listener) => context.events.subscribe(listener),
    notificationsDroppedCount: () => context.events.droppedCount,
    reset() {
      epoch += 1;
      clearStore(context.store);
      context.effects.clear();
      context.events.clear();
      plan.clear();
      flights.clear();
      populate();
    },
  };
}

interface Workings {
  readonly context: Context;
  readonly plan: FaultPlan;
  readonly flights: InFlight;
  readonly options: WorldOptions;
  readonly random: () => number;
  /** Grows with every reset. */
  readonly epochOf: () => number;
}

/** Opens exchanges: draws what strikes them, and how long they take. */
function createOpener({ context, plan, flights, options, random, epochOf }: Workings): Open {
  return (candidate, perform) => {
    const opened = epochOf();
    const strike = plan.draw(candidate);
    const account =
      candidate.accountId === null ? undefined : context.store.accounts.get(candidate.accountId);
    const isWrite = candidate.operation !== 'read' && candidate.operation !== 'manage';
    const flip = strike.accountStatus;
    return openExchange(
      { ...candidate, perform },
      {
        strike,
        delayMs: drawBetween(latencyRange(strike) ?? options.latencyMs ?? NO_WAIT, random),
        effectAt: strike.latency?.effect_at ?? options.effectAt ?? 'end',
        visibilityDelayMs: strike.lateVisibility?.ms ?? context.visibilityDelayMs,
        isCurrent: () => epochOf() === opened,
        enterFlight: () => (isWrite && account !== undefined ? flights.enter(account.id) : () => {}),
        flipStatus: () => {
          if (flip !== undefined && account !== undefined) accounts.setStatus(context, account, flip.status);
        },
      },
    );
  };
}

type Open = (candidate: Candidate, perform: (how: Circumstances) => Outcome) => Exchange;

/** Binds every request to what faults may look at: its operation, account, recipients and text. */
function createApi(context: Context, open: Open): WorldApi {
  const { store } = context;
  const chatOf = (chatId: string) => store.chats.get(chatId);
  const candidate = (
    operation: Operation,
    accountId: string | undefined,
    recipients: readonly string[] = [],
    text?: string,
  ): Candidate => ({ operation, accountId: accountId ?? null, recipients, text: text ?? null });
  const read = (accountId: string | undefined, recipients: readonly string[], perform: () => Outcome) =>
    open(candidate('read', accountId, recipients), perform);
  const readChat = (chatId: string, perform: () => Outcome) =>
    read(chatOf(chatId)?.accountId, chatOf(chatId)?.attendees ?? [], perform);
  const namesOf = (identifiers: string) => identifiers.split(',').map((id) => store.attendees.get(id) ?? id);
  return {
    startChat: (request) =>
      open(candidate('start_chat', request.accountId, request.attendeesIds, request.text), (how) =>
        sending.startChat(context, request, how),
      ),
    sendMessage: (request) => {
      const chat = chatOf(request.chatId);
      return open(
        candidate('send_message', chat?.accountId ?? request.accountId, chat?.attendees, request.text),
        (how) => sending.sendMessage(context, request, how),
      );
    },
    createPost: (request) =>
      open(candidate('create_post', request.accountId, [], request.text), (how) =>
        posts.createPost(context, request, how),
      ),
    invite: (request) => {
      const recipients = request.providerId === undefined ? [] : [request.providerId];
      const asked = candidate('invite', request.accountId, recipients, request.message);
      return open(asked, () => members.invite(context, request));
    },
    cancelInvitation: (invitationId, accountId) =>
      open(candidate('manage', accountId), () => members.cancelInvitation(context, invitationId, accountId)),
    restartAccount: (id) => open(candidate('manage', id), () => accounts.restartAccount(context, id)),
    deleteAccount: (id) => open(candidate('manage', id), () => accounts.deleteAccount(context, id)),
    listAccounts: (query = {}) => read(undefined, [], () => accounts.listAccounts(context, query)),
    getAccount: (id) => read(id, [], () => accounts.getAccount(context, id)),
    listChats: (query = {}) => read(query.accountId, [], () => inbox.listChats(context, query)),
    getChat: (id) => readChat(id, () => inbox.getChat(context, id)),
    syncChat: (id) => readChat(id, () => inbox.syncChat(context, id)),
    listMessagesOfChat: (id, query = {}) => readChat(id, () => inbox.listMessagesOfChat(context, id, query)),
    listMessages: (query = {}) => read(query.accountId, [], () => inbox.listMessages(context, query)),
    getMessage: (id) => {
      const message = store.messages.get(id);
      return read(message?.accountId, [], () => inbox.getMessage(context, id));
    },
    listChatsOfAttendee: (identifiers, query = {}) =>
      read(query.accountId, namesOf(identifiers), () =>
        inbox.listChatsOfAttendee(context, identifiers, query),
      ),
    listMessagesOfAttendee: (identifiers, query = {}) =>
      read(query.accountId, namesOf(identifiers), () =>
        inbox.listMessagesOfAttendee(context, identifiers, query),
      ),
    getPost: (id, accountId) => read(accountId, [], () => posts.getPost(context, id, accountId)),
    listPostsOfUser: (identifier, query) =>
      read(query.accountId, [identifier], () => posts.listPostsOfUser(context, identifier, query)),
    ownProfile: (accountId) => read(accountId, [], () => members.ownProfile(context, accountId)),
    profile: (identifier, accountId) =>
      read(accountId, [identifier], () => members.profile(context, identifier, accountId)),
    listInvitationsSent: (query) =>
      read(query.accountId, [], () => members.listInvitationsSent(context, query)),
    listRelations: (query) => read(query.accountId, [], () => members.listRelations(context, query)),
    manage: (perform) => open(candidate('manage', undefined), perform),
  };
}

function latencyRange({ latency }: Strike): { min: number; max: number } | undefined {
  if (latency === undefined) return undefined;
  return { min: latency.ms ?? latency.min_ms ?? 0, max: latency.ms ?? latency.max_ms ?? 0 };
}

function drawBetween(range: { readonly min: number; readonly max: number }, random: () => number): number {
  if (range.max <= range.min) return range.min;
  return range.min + Math.floor(random() * (range.max - range.min + 1));
}
