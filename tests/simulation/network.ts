/**
 * The simulated network to Unipile: undici's requests reach the sandbox's world without a socket.
 *
 * A request takes time to arrive, the world takes time to answer, the answer takes time to return;
 * each of them may fail. A request that was sent arrives even if its sender crashed or gave up.
 */
import type { Transport } from '@revos/core/unipile';
import type { Answer, Exchange, World } from '@revos/unipile-sandbox';
import { Dispatcher, type FormData } from 'undici';
import type { Random } from '../support/random.ts';
import type { Machine } from './machine.ts';
import type { FaultName } from './plan.ts';
import type { Timeline } from './timeline.ts';
import type { RecordEvent } from './trace.ts';

export interface NetworkParts {
  readonly timeline: Timeline;
  readonly world: World;
  readonly random: Random;
  /** Draws whether to inject a fault now, and records it if so. */
  readonly shouldInject: (name: FaultName) => boolean;
  readonly record: RecordEvent;
  /** The longest that Unipile itself takes, in milliseconds. */
  readonly latencyMsMax: number;
  /** Called as Unipile begins each write (1) and ends it (-1), also if its sender gave it up. */
  readonly onWrite: (accountId: string, change: 1 | -1) => void;
}

/**
 * How long after its sender's timeout a request may still be executed, in milliseconds: a proxy
 * held it, or Unipile was slow.
 */
export const EXECUTED_LATE_MS_MAX = 25_000;

const WRITE_TIMEOUT_MS = 60_000;

/** How one machine reaches Unipile. */
export function transportOf(machine: Pick<Machine, 'deliver' | 'onExit'>, parts: NetworkParts): Transport {
  const dispatcher = new SimulatedDispatcher(machine, parts);
  return { writing: dispatcher, reading: dispatcher, hasFailedToConnect: () => false };
}

class SimulatedDispatcher extends Dispatcher {
  readonly #machine: Pick<Machine, 'deliver' | 'onExit'>;
  readonly #parts: NetworkParts;

  constructor(machine: Pick<Machine, 'deliver' | 'onExit'>, parts: NetworkParts) {
    super();
    this.#machine = machine;
    this.#parts = parts;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { timeline, world, random, shouldInject, record, latencyMsMax, onWrite } = this.#parts;
    const isWrite = options.method === 'POST';
    let isOver = false;
    let exchange: Exchange | null = null;

    const over = (): boolean => {
      if (isOver) return true;
      isOver = true;
      exchange?.release();
      stopListening();
      return false;
    };
    const controller = {
      aborted: false,
      paused: false,
      reason: null as Error | null,
      abort(reason: Error) {
        if (over()) return;
        controller.aborted = true;
        controller.reason = reason;
        handler.onResponseError?.(controller, reason);
      },
      pause() {},
      resume() {},
    };
    // The kernel closes the sockets of a dead process.
    const stopListening = this.#machine.onExit(() => void over());
    const fail = (code: string): void => {
      if (!over()) handler.onResponseError?.(controller, Object.assign(new Error(code), { code }));
    };
    const later = (ms: number, action: () => void): void => this.#machine.deliver(ms, action);

    if (shouldInject('connection refused')) {
      later(random.integer(1, 5_000), () => fail('ECONNREFUSED'));
      return true;
    }
    handler.onRequestStart?.(controller, {});
    if (shouldInject('request lost')) {
      later(random.integer(1, 5_000), () => fail('ECONNRESET'));
      return true;
    }
    const isDelayed = isWrite && shouldInject('request delayed');
    const travelMs = isDelayed
      ? random.integer(1_000, WRITE_TIMEOUT_MS + EXECUTED_LATE_MS_MAX - latencyMsMax)
      : random.integer(5, 400);
    timeline.schedule(travelMs, () => {
      const opened = open(world, options);
      if (isOver) record('abandoned request arrived');
      if (isOver) opened.release();
      else exchange = opened;
      const accountId = isWrite ? opened.accountId : null;
      if (accountId !== null) onWrite(accountId, 1);
      if (isWrite && shouldInject('connection lost')) {
        later(random.integer(0, opened.delayMs), () => fail('ECONNRESET'));
      }
      timeline.schedule(opened.delayMs, () => {
        const answer = opened.finish();
        if (accountId !== null) onWrite(accountId, -1);
        record(
          `Unipile ${isWrite ? 'write' : 'read'}: ${answer.kind === 'reply' ? answer.status : answer.kind}`,
          `${options.method} ${options.path}`,
        );
        if (answer.kind !== 'hang') later(random.integer(5, 400), () => respond(answer));
      });
    });

    const respond = (answer: Answer): void => {
      if (isOver) return;
      if (answer.kind === 'closed' || answer.kind === 'reset' || answer.kind === 'hang') {
        fail(answer.kind === 'closed' ? 'UND_ERR_SOCKET' : 'ECONNRESET');
        return;
      }
      const isWhole = answer.kind === 'reply';
      const body = answer.kind === 'cut' ? answer.body : textOf(answer.body);
      const bytes = Buffer.from(body);
      const headers = answer.kind === 'reply' ? answer.headers : {};
      handler.onResponseStart?.(controller, answer.status, headers);
      if (isOver) return;
      handler.onResponseData?.(controller, isWhole ? bytes : bytes.subarray(0, bytes.length / 2));
      if (isOver) return;
      if (!isWhole) fail('UND_ERR_SOCKET');
      else if (!over()) handler.onResponseEnd?.(controller, {});
    };
    return true;
  }

  override async close(): Promise<void> {}
}

const textOf = (body: Extract<Answer, { kind: 'reply' }>['body']): string =>
  body.kind === 'json' ? JSON.stringify(body.value) : body.text;

/** Opens the request in the sandbox's world. @throws on one that no client of ours makes */
function open(world: World, { method, path, body }: Dispatcher.DispatchOptions): Exchange {
  const url = new URL(path, 'http://unipile');
  const [api, version, ...parts] = url.pathname.split('/').slice(1).map(decodeURIComponent);
  const [resource = '', id = '', part] = parts;
  const query = (name: string): string | undefined => url.searchParams.get(name) ?? undefined;
  const form = body as unknown as FormData;
  const field = (name: string): string | undefined => form.get(name)?.toString();
  const page = {
    accountId: query('account_id'),
    before: query('before'),
    after: query('after'),
    cursor: query('cursor'),
    limit: Number(query('limit') ?? 100),
    senderId: undefined,
    unread: undefined,
    isCompany: query('is_company') === 'true' ? true : undefined,
  };
  switch (
    `${method} ${api}/${version}/${resource}${id === '' ? '' : '/:id'}${part === undefined ? '' : `/${part}`}`
  ) {
    case 'POST api/v1/chats':
      return world.startChat({
        accountId: field('account_id'),
        attendeesIds: form.getAll('attendees_ids').map(String),
        text: field('text'),
        subject: undefined,
        api: undefined,
        isInmail: false,
        attachments: [],
      });
    case 'POST api/v1/chats/:id/messages':
      return world.sendMessage({
        chatId: id,
        accountId: field('account_id'),
        text: field('text'),
        attachments: [],
      });
    case 'POST api/v1/posts':
      return world.createPost({
        accountId: field('account_id'),
        text: field('text'),
        mentions: [],
        repost: undefined,
        externalLink: undefined,
        asOrganization: undefined,
        attachments: [],
      });
    case 'GET api/v1/chats/:id/messages':
      return world.listMessagesOfChat(id, page);
    case 'GET api/v1/chat_attendees/:id/chats':
      return world.listChatsOfAttendee(id, page);
    case 'GET api/v1/users/:id/posts':
      return world.listPostsOfUser(id, page);
    case 'GET api/v1/posts/:id':
      return world.getPost(id, query('account_id'));
    case 'GET api/v1/accounts/:id':
      return world.getAccount(id);
    default:
      throw new Error(`the simulation does not support ${method} ${url.pathname} of Unipile`);
  }
}
