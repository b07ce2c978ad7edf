/**
 * Unipile v1 over undici: DSN and token, multipart writes.
 *
 * Writes are never retried and each goes over a connection of its own: a kept-alive socket that the
 * server has just closed could not be told from a request that was lost on its way.
 */
import { Agent, buildConnector, FormData, request } from 'undici';
import type { Failure, SendMessageRequest, SentMessage, Unipile } from '../unipile.ts';
import { classifyAnswer, classifySocketCode } from './classify.ts';

export interface UnipileV1Options {
  /** Host and port as Unipile shows them, with or without a scheme: `api1.unipile.com:13211`. */
  readonly dsn: string;
  readonly apiKey: string;
  /** How long one call may take as a whole, in milliseconds. Well below the lease of an attempt. */
  readonly timeoutMs?: number;
}

/** A call's time limit in milliseconds, half of an attempt's lease. */
const TIMEOUT_MS = 60_000;

/** How long a connection may take, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/** Answers are small; a larger one is not read. */
const ANSWER_BYTES_MAX = 1_048_576;

const DETAIL_LENGTH_MAX = 500;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  /** The parsed body; undefined if it is not a JSON object or could not be read. */
  readonly body: Readonly<Record<string, unknown>> | undefined;
}

/** The base URL of a DSN: https unless it says otherwise. @throws {TypeError} if it is none */
export function baseUrlOf(dsn: string): URL {
  const url = new URL(/^https?:\/\//.test(dsn) ? dsn : `https://${dsn}`);
  return new URL('/api/v1/', url);
}

export function createUnipileV1(options: UnipileV1Options): Unipile {
  const base = baseUrlOf(options.dsn);
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const connections = watchedConnections();
  const agent = new Agent({
    allowH2: false,
    // No keep-alive; see above.
    pipelining: 0,
    connect: connections.connect,
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    maxResponseSize: ANSWER_BYTES_MAX,
  });

  const post = async (path: string, fields: ReadonlyArray<readonly [string, string]>): Promise<Answer> => {
    const form = new FormData();
    for (const [name, value] of fields) form.append(name, value);
    const { statusCode, headers, body } = await request(new URL(path, base), {
      method: 'POST',
      headers: { 'x-api-key': options.apiKey, accept: 'application/json' },
      body: form,
      dispatcher: agent,
      signal: AbortSignal.timeout(timeoutMs),
    });
    const retryAfter = headers['retry-after'];
    // The status is known by now: a body that breaks off changes nothing about a refusal.
    const text = await body.text().catch((): null => null);
    return {
      status: statusCode,
      retryAfter: typeof retryAfter === 'string' ? retryAfter : null,
      body: text === null ? undefined : parseObject(text),
    };
  };

  return {
    async sendMessage(message: SendMessageRequest): Promise<SentMessage | Failure> {
      const { accountId, recipientId, chatId, text } = message;
      try {
        const answer =
          chatId === null
            ? await post('chats', [
                ['account_id', accountId],
                ['attendees_ids', recipientId],
                ['text', text],
              ])
            : await post(`chats/${encodeURIComponent(chatId)}/messages`, [
                // The guard: Unipile refuses if the chat is another account's.
                ['account_id', accountId],
                ['text', text],
              ]);
        return readAnswer(answer, chatId);
      } catch (error) {
        return socketFailure(error, connections.hasFailed(error));
      }
    },
    close: () => agent.close(),
  };
}

function readAnswer({ status, body, retryAfter }: Answer, chatId: string | null): SentMessage | Failure {
  const messageId = body?.message_id;
  if (status >= 200 && status < 300 && typeof messageId === 'string' && messageId !== '') {
    const startedChat = body?.chat_id;
    return {
      ok: true,
      httpStatus: status,
      messageId,
      chatId: typeof startedChat === 'string' ? startedChat : chatId,
    };
  }
  const type = typeof body?.type === 'string' ? storable(body.type.replace(/^errors\//, '')) : null;
  const detail = [body?.title, body?.detail].filter((part) => typeof part === 'string').join(': ');
  return {
    ok: false,
    kind: classifyAnswer(status, type, chatId !== null),
    httpStatus: status,
    type: type ?? (status < 300 ? 'no_message_id' : null),
    detail: detail === '' ? null : storable(detail),
    retryAfterMs: parseRetryAfter(retryAfter),
  };
}

/**
 * Connections that remember which failures were their own: a peer that was refused, not found, not
 * trusted, or that broke off the TLS handshake. Then there was no connection to write a request to.
 */
function watchedConnections(): { connect: buildConnector.connector; hasFailed(error: unknown): boolean } {
  const connect = buildConnector({ timeout: CONNECT_TIMEOUT_MS, allowH2: false });
  const failures = new WeakSet<Error>();
  return {
    connect: (options, callback) =>
      connect(options, (...[error, socket]) => {
        if (error === null) return callback(null, socket);
        failures.add(error);
        callback(error, null);
      }),
    hasFailed: (error) => error instanceof Error && failures.has(error),
  };
}

function socketFailure(error: unknown, isOfConnection: boolean): Failure {
  const { code, name } = error as { code?: unknown; name?: unknown };
  const reason = typeof code === 'string' ? code : typeof name === 'string' ? name : null;
  return {
    ok: false,
    kind: isOfConnection ? 'unreachable' : classifySocketCode(reason),
    httpStatus: null,
    type: reason,
    detail: null,
    retryAfterMs: null,
  };
}

/** Text of any origin as Postgres can keep it: not too long, no NUL, no half of a surrogate pair. */
function storable(text: string): string {
  return text.replaceAll('\0', '').slice(0, DETAIL_LENGTH_MAX).toWellFormed();
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Seconds only; the other form, a date, is not used by Unipile and is taken as absent. */
function parseRetryAfter(value: string | null): number | null {
  return value !== null && /^\d{1,8}$/.test(value) ? Number(value) * 1_000 : null;
}
