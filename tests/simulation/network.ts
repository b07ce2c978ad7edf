/**
 * The network to Unipile, and Unipile: undici's requests meet the sandbox's world, without a socket.
 *
 * A request takes time to arrive, the world takes time to answer, the answer takes time to come back;
 * each of them may fail. What has left arrives, also when its sender has died or given up by then.
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
  /** Draws whether a fault strikes now. */
  readonly strikes: (name: FaultName) => boolean;
  readonly record: RecordEvent;
  /** The longest that Unipile itself takes, in milliseconds. */
  readonly latencyMsMax: number;
  /** Told of each write as Unipile takes it up, and as it has done with it: whoever waits for it by then. */
  readonly onWrite: (accountId: string, change: 1 | -1) => void;
}

/**
 * A request that its sender gives up after a minute may still be carried out so much later, in
 * milliseconds: a proxy had it, or Unipile was slow.
 */
export const CARRIED_OUT_LATE_MS = 25_000;

const WRITE_TIMEOUT_MS = 60_000;

/** How one machine reaches Unipile. */
export function transportOf(machine: Pick<Machine, 'deliver' | 'onDeath'>, parts: NetworkParts): Transport {
  const dispatcher = new SimulatedDispatcher(machine, parts);
  return { writing: dispatcher, reading: dispatcher, hasFailedToConnect: () => false };
}

class SimulatedDispatcher extends Dispatcher {
  readonly #machine: Pick<Machine, 'deliver' | 'onDeath'>;
  readonly #parts: NetworkParts;

  constructor(machine: Pick<Machine, 'deliver' | 'onDeath'>, parts: NetworkParts) {
    super();
    this.#machine = machine;
    this.#parts = parts;
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { timeline, world, random, strikes, record, latencyMsMax, onWrite } = this.#parts;
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
    const stopListening = this.#machine.onDeath(() => void over());
    const fail = (code: string): void => {
      if (!over()) handler.onResponseError?.(controller, Object.assign(new Error(code), { code }));
    };
    const later = (ms: number, happen: () => void): void => this.#machine.deliver(ms, happen);

    if (strikes('connection refused')) {
      later(random.integer(1, 5_000), () => fail('ECONNREFUSED'));
      return true;
    }
    handler.onRequestStart?.(controller, {});
    if (strikes('request lost')) {
      later(random.integer(1, 5_000), () => fail('ECONNRESET'));
      return true;
    }
    const isSlow = isWrite && strikes('request slow');
    const travelMs = isSlow
      ? random.integer(1_000, WRITE_TIMEOUT_MS + CARRIED_OUT_LATE_MS - latencyMsMax)
      : random.integer(5, 400);
    timeline.in(travelMs, () => {
      const opened = open(world, options);
      if (isOver) record('a request arrives although it was given up');
      if (isOver) opened.release();
      else exchange = opened;
      const accountId = isWrite ? opened.accountId : null;
      if (accountId !== null) onWrite(accountId, 1);
      if (isWrite && strikes('connection lost')) {
        later(random.integer(0, opened.delayMs), () => fail('ECONNRESET'));
      }
      timeline.in(opened.delayMs, () => {
        const answer = opened.finish();
        if (accountId !== null) onWrite(accountId, -1);
        record(
          `Unipile: ${isWrite ? 'a write' : 'a read'}, ${answer.kind === 'reply' ? answer.status : answer.kind}`,
          `${options.method} ${options.path}`,
        );
        if (answer.kind !== 'hang') later(random.integer(5, 400), () => put(answer));
      });
    });

    const put = (answer: Answer): void => {
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

/** The request as the world takes it. @throws on one that no client of ours makes */
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
      throw new Error(`Unipile is asked for ${method} ${url.pathname}, which the simulation does not know`);
  }
}
