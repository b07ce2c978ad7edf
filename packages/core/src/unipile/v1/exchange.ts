/**
 * One request to Unipile v1 and its answer, over undici: DSN and token, multipart writes.
 *
 * Writes are never retried. Reads are asked once more if they could not be answered.
 */

import { Agent, buildConnector, type Dispatcher, type FormData, request } from 'undici';
import { type Effects, withTimeout } from '../../effects/index.ts';
import { storableText } from '../../json/index.ts';
import type { Failure } from '../unipile.ts';
import { classifyAnswer, classifySocketCode } from './classify.ts';
import { type Body, parseObject } from './json.ts';
import { retryAfterMsOf } from './retry-after.ts';
import { storableId } from './storable.ts';
import { type EncodedForm, encodeTextForm } from './text-form.ts';

/** How long a connection may take, in milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/**
 * How long after its last answer a connection is used for another write, in milliseconds.
 *
 * A write over a connection that the server has just closed cannot be told from one that was lost
 * on its way. No server known to us closes one so soon without saying so, and undici looks for a
 * close that has arrived before it writes.
 */
const WRITE_KEEP_ALIVE_MS = 1_000;

/** Answers to writes are small; a larger one is not read. */
const WRITE_ANSWER_BYTES_MAX = 1_048_576;

/** A page of a hundred messages of 8,000 characters, in any script, has room in it. */
const READ_ANSWER_BYTES_MAX = 8 * 1_048_576;

const DETAIL_LENGTH_MAX = 500;

/** An error's type as Unipile writes it, whatever it says after that. */
const UNIPILE_TYPE = /^errors\/./;

/** The name of an error's type. Types are logged: what is no name may be the message, quoted. */
const TYPE_NAME = /^errors\/([\w./-]{1,100})$/;

interface Answer {
  readonly status: number;
  readonly retryAfterMs: number | null;
  /** The parsed body; undefined if it is not a JSON object or could not be read. */
  readonly body: Body | undefined;
}

export interface Written {
  readonly ok: true;
  readonly httpStatus: number;
  /** Of what was made; null if it cannot be stored. */
  readonly id: string | null;
  readonly body: Body;
}

export interface WriteOptions {
  /** How long the call may take as a searchSignal, in milliseconds. */
  readonly timeoutMs: number;
  /** Where a success has the id of what was made. A success without it is ambiguous. */
  readonly idField: 'message_id' | 'post_id';
  /** Whether the request names a chat, so that a refusal may be about the chat alone. */
  readonly inChat: boolean;
}

export interface ReadOptions {
  /** Ends this read and those after it, besides this one's own timeout. */
  readonly searchSignal?: AbortSignal;
  /** Whether a read that was not answered, or with a 5xx, is asked once more. */
  readonly isRetried: boolean;
}

export interface Exchange {
  write(path: string, form: FormData, options: WriteOptions): Promise<Written | Failure>;
  /** @param query left out where undefined */
  read(
    path: string,
    query: Readonly<Record<string, string | undefined>>,
    options: ReadOptions,
  ): Promise<{ readonly ok: true; readonly body: Body } | Failure>;
  close(): Promise<void>;
}

/** The base URL of a DSN: https unless it says otherwise. @throws {TypeError} if it is none */
export function baseUrlOf(dsn: string): URL {
  const url = new URL(/^[a-z][a-z\d+.-]*:\/\//i.test(dsn) ? dsn : `https://${dsn}`);
  return new URL('/api/v1/', url);
}

/** What requests travel over. */
export interface Transport {
  readonly writing: Dispatcher;
  readonly reading: Dispatcher;
  /** A form as it is to travel, if not as undici would write it. */
  readonly encode?: (form: FormData) => EncodedForm | null;
  /** Whether an error was one of making a connection: then nothing was written to it. */
  hasFailedToConnect(error: unknown): boolean;
}

export interface ExchangeOptions {
  readonly dsn: string;
  readonly apiKey: string;
  /** How long one read may take, in milliseconds. */
  readonly readTimeoutMs: number;
  readonly effects: Pick<Effects, 'now' | 'sleep'>;
  readonly transport: Transport;
  /** Told before each read that is asked once more. */
  readonly onReadRepeated?: (() => void) | undefined;
}

export function createExchange(options: ExchangeOptions): Exchange {
  const { apiKey, readTimeoutMs, effects, transport } = options;
  const base = baseUrlOf(options.dsn);
  const headers = { 'x-api-key': apiKey, accept: 'application/json' };

  const answerOf = async (response: Awaited<ReturnType<typeof request>>): Promise<Answer> => {
    // The status is known by now: a body that breaks off changes nothing about a refusal.
    const text = await response.body.text().catch((): null => null);
    return {
      status: response.statusCode,
      retryAfterMs: retryAfterMsOf(response.headers['retry-after'], effects.now()),
      body: text === null ? undefined : parseObject(text),
    };
  };

  const readOnce = async (url: URL, searchSignal: AbortSignal | undefined): ReturnType<Exchange['read']> => {
    try {
      const answer = await withTimeout(effects, readTimeoutMs, async (expired) => {
        const signal = searchSignal === undefined ? expired : AbortSignal.any([searchSignal, expired]);
        return answerOf(await request(url, { headers, dispatcher: transport.reading, signal }));
      });
      const { status, body } = answer;
      if (status >= 200 && status < 300 && body !== undefined) return { ok: true, body };
      return failureOf(answer, false, 'unreadable_answer');
    } catch (error) {
      return socketFailure(error, transport.hasFailedToConnect(error));
    }
  };

  return {
    async write(path, form, { timeoutMs, idField, inChat }) {
      const encoded = transport.encode?.(form) ?? null;
      const sent =
        encoded === null
          ? { headers, body: form }
          : { headers: { ...headers, 'content-type': encoded.contentType }, body: encoded.body };
      try {
        const answer = await withTimeout(effects, timeoutMs, async (signal) =>
          answerOf(
            await request(new URL(path, base), {
              method: 'POST',
              ...sent,
              dispatcher: transport.writing,
              signal,
            }),
          ),
        );
        const { status, body } = answer;
        const id = body?.[idField];
        if (status >= 200 && status < 300 && body !== undefined && typeof id === 'string' && id !== '') {
          return { ok: true, httpStatus: status, id: storableId(id), body };
        }
        return failureOf(answer, inChat, `no_${idField}`);
      } catch (error) {
        return socketFailure(error, transport.hasFailedToConnect(error));
      }
    },
    async read(path, query, { searchSignal, isRetried }) {
      const url = new URL(path, base);
      for (const [name, value] of Object.entries(query)) {
        if (value !== undefined) url.searchParams.set(name, value);
      }
      const first = await readOnce(url, searchSignal);
      const isWorthAnother = !first.ok && (first.kind === 'ambiguous' || first.kind === 'unreachable');
      if (!isRetried || !isWorthAnother) return first;
      options.onReadRepeated?.();
      return readOnce(url, searchSignal);
    },
    async close() {
      await Promise.all([transport.writing.close(), transport.reading.close()]);
    },
  };
}

/** @param typeOfSuccess the failure's type where the status is that of a success */
function failureOf({ status, body, retryAfterMs }: Answer, inChat: boolean, typeOfSuccess: string): Failure {
  const given = typeof body?.type === 'string' ? body.type : '';
  const type = TYPE_NAME.exec(given)?.[1] ?? null;
  const detail = [body?.title, body?.detail].filter((part) => typeof part === 'string').join(': ');
  return {
    ok: false,
    kind: classifyAnswer(status, type ?? (UNIPILE_TYPE.test(given) ? '' : null), inChat),
    httpStatus: status,
    type: type ?? (status < 300 ? typeOfSuccess : null),
    detail: detail === '' ? null : storableText(detail, DETAIL_LENGTH_MAX),
    retryAfterMs,
  };
}

/** A read that was answered, with something that does not say what was asked. */
export function unreadable(type: string): Failure {
  return { ok: false, kind: 'ambiguous', httpStatus: null, type, detail: null, retryAfterMs: null };
}

/**
 * Sockets that remember which failures were their own: a peer that was refused, not found, not
 * trusted, or that broke off the TLS handshake. Then there was no connection to write a request to.
 */
export function openSockets(): Transport {
  const connect = buildConnector({ timeout: CONNECT_TIMEOUT_MS, allowH2: false });
  const failures = new WeakSet<Error>();
  const shared = {
    allowH2: false,
    connect: ((options, callback) =>
      connect(options, (...[error, socket]) => {
        if (error === null) return callback(null, socket);
        failures.add(error);
        callback(error, null);
      })) satisfies buildConnector.connector,
  };
  return {
    writing: new Agent({
      ...shared,
      keepAliveTimeout: WRITE_KEEP_ALIVE_MS,
      keepAliveMaxTimeout: WRITE_KEEP_ALIVE_MS,
      maxResponseSize: WRITE_ANSWER_BYTES_MAX,
    }),
    reading: new Agent({ ...shared, maxResponseSize: READ_ANSWER_BYTES_MAX }),
    encode: encodeTextForm,
    hasFailedToConnect: (error) => error instanceof Error && failures.has(error),
  };
}

function socketFailure(error: unknown, isOfConnection: boolean): Failure {
  const { code, name, syscall } = error as { code?: unknown; name?: unknown; syscall?: unknown };
  const reason = typeof code === 'string' ? code : typeof name === 'string' ? name : null;
  // A code of a connection that cannot be made is also that of one which stood, and lost its way.
  const hasStood = syscall === 'read' || syscall === 'write';
  return {
    ok: false,
    kind: isOfConnection ? 'unreachable' : hasStood ? 'ambiguous' : classifySocketCode(reason),
    httpStatus: null,
    type: reason,
    detail: null,
    retryAfterMs: null,
  };
}
