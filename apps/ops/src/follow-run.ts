/**
 * A run as it changes, from its server-sent events, until its end.
 *
 * Each event is the whole run, so a connection that breaks off is made again and nothing is missed.
 * A connection that is silent for longer than the service's heartbeat counts as broken off.
 */
import { realEffects } from '@revos/core/effects';
import { isEnded } from '@revos/core/jobs';
import { errorOf, JobsApiError } from '@revos/jobs-client';
import { createParser } from 'eventsource-parser';
import type { Connection } from './env.ts';
import { UnreachedError } from './exit-codes.ts';
import type { Run } from './shapes.ts';

/** The service says something every 15 seconds. In milliseconds. */
const SILENCE_MS_MAX = 45_000;

/** Characters of one event: a run has a few thousand. */
const EVENT_LENGTH_MAX = 1_000_000;

/** Connections in a row that bring nothing, and the waits between them in milliseconds. */
const FAILURES_MAX = 10;
const BACKOFF_MS_MIN = 250;
const BACKOFF_MS_MAX = 15_000;

export interface FollowOptions {
  /** Ends the watching; the run goes on. */
  readonly signal: AbortSignal;
  /** Called with the run now, and after each change. */
  readonly onRun: (run: Run) => void;
  /** As of `effects`, for tests. */
  readonly sleep?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/**
 * The run once it has ended.
 *
 * @throws {JobsApiError} if the API refuses, {UnreachedError} if the events cannot be had any more, and the
 * signal's reason once it aborts
 */
export async function followRun(connection: Connection, id: string, options: FollowOptions): Promise<Run> {
  const { signal, onRun, sleep = realEffects.sleep } = options;
  for (let failures = 0; failures < FAILURES_MAX; failures += 1) {
    if (failures > 0) await sleep(backoffMs(failures), signal);
    signal.throwIfAborted();
    try {
      for await (const run of runEvents(connection, id, signal)) {
        failures = 0;
        onRun(run);
        if (isEnded(run)) return run;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof JobsApiError && (error.status ?? 500) < 500) throw error;
      if (!(error instanceof JobsApiError) && !isBrokenOff(error)) throw error;
    }
  }
  throw new UnreachedError(
    `The events of run ${id} cannot be had any more. The run goes on: ops runs show ${id}`,
  );
}

const backoffMs = (failures: number): number =>
  Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** (failures - 1));

/**
 * What `fetch` throws when there is no connection, or it ends in mid-answer, or it is silent for
 * too long.
 */
const isBrokenOff = (error: unknown): boolean =>
  error instanceof TypeError || (error instanceof DOMException && error.name === 'AbortError');

const NOT_THE_API = 'What answers there is not the jobs API. Is the address right?';

/** The events of one connection. */
async function* runEvents(
  { baseUrl, token }: Connection,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<Run, void, undefined> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), SILENCE_MS_MAX);
  try {
    const response = await fetch(`${baseUrl}/api/runs/${id}/events`, {
      headers: { accept: 'text/event-stream', authorization: `Bearer ${token}` },
      redirect: 'manual',
      signal: AbortSignal.any([signal, silence.signal]),
    });
    if (!response.ok) throw await errorOf(response);
    if (!response.headers.get('content-type')?.startsWith('text/event-stream') || response.body === null) {
      throw new UnreachedError(NOT_THE_API);
    }
    const arrived: Run[] = [];
    const parser = createParser({
      onEvent: (event) => {
        if (event.event === 'run') arrived.push(JSON.parse(event.data) as Run);
      },
      onError: ({ type }) => {
        if (type === 'max-buffer-size-exceeded') throw new UnreachedError(NOT_THE_API);
      },
      maxBufferSize: EVENT_LENGTH_MAX,
    });
    for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
      timer.refresh();
      parser.feed(text);
      yield* arrived.splice(0);
    }
  } finally {
    clearTimeout(timer);
  }
}
