/**
 * One request and its answer, in two steps, so that whoever drives the world owns the time between them.
 *
 * `open` draws the faults and says how long the answer takes; `finish`, called after that long,
 * says what the client sees. The effect happens in one of the two, or not at all, and never
 * depends on whether the client is still there.
 */
import { ApiError, type ErrorBody, errorBody, factsOfType } from '../errors.ts';
import type { Circumstances, Outcome } from './context.ts';
import type { Candidate, Decisive, Strike } from './fault-plan.ts';

export type Body =
  | { readonly kind: 'json'; readonly value: unknown }
  | { readonly kind: 'text'; readonly contentType: string; readonly text: string };

/** What the client sees. */
export type Answer =
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Body;
    }
  /** The connection is closed (`closed`) or reset (`reset`) with nothing sent. */
  | { readonly kind: 'closed' }
  | { readonly kind: 'reset' }
  /** Headers and the first half of the body, then nothing more. */
  | { readonly kind: 'cut'; readonly status: number; readonly body: string }
  /** Nothing until the client gives up. */
  | { readonly kind: 'hang' };

export interface Exchange {
  /** Null when the request named no account, nor anything that belongs to one. */
  readonly accountId: string | null;
  /** How long the answer takes. */
  readonly delayMs: number;
  /** What the client sees; carries out an effect that is due at the end. Later calls give the same answer. */
  finish(): Answer;
  /**
   * The client has gone: the write no longer counts as in flight. Its effect is not undone, nor
   * prevented.
   */
  release(): void;
}

export interface Call extends Candidate {
  /** Carries out the request. Throws `ApiError` to refuse it, and then nothing has happened. */
  readonly perform: (how: Circumstances) => Outcome;
}

/** What `openExchange` needs of the world around it. */
export interface Surroundings {
  readonly strike: Strike;
  readonly delayMs: number;
  readonly effectAt: 'start' | 'end';
  readonly visibilityDelayMs: number;
  /** False once the world was reset: what comes due then has no effect. */
  readonly isCurrent: () => boolean;
  readonly enterFlight: () => () => void;
  readonly flipStatus: () => void;
}

export function openExchange(call: Call, around: Surroundings): Exchange {
  const { strike } = around;
  const leaveFlight = around.enterFlight();
  if (strike.accountStatus !== undefined && strike.accountStatus.when !== 'after') around.flipStatus();
  let outcome: Outcome | ApiError | null = null;
  const carryOut = (): void => {
    if (hasEffect(strike.decisive)) outcome = attempt(call, around.visibilityDelayMs);
  };
  if (around.effectAt === 'start') carryOut();
  let answer: Answer | null = null;
  return {
    accountId: call.accountId,
    delayMs: strike.decisive?.kind === 'reset_before' ? 0 : around.delayMs,
    release: leaveFlight,
    finish() {
      if (answer !== null) return answer;
      if (!around.isCurrent()) {
        answer = { kind: 'closed' };
        return answer;
      }
      if (around.effectAt === 'end') carryOut();
      if (strike.accountStatus?.when === 'after') around.flipStatus();
      answer = answerOf(strike.decisive, outcome);
      if (answer.kind !== 'hang') leaveFlight();
      return answer;
    },
  };
}

/** Whether the request is carried out, whatever the client will be told. */
function hasEffect(decisive: Decisive | undefined): boolean {
  switch (decisive?.kind) {
    case 'reset_before':
      return false;
    case 'hang':
    case 'status':
    case 'redirect':
    case 'html_body':
      return decisive.effect;
    case 'reset_mid_answer':
      return decisive.effect ?? true;
    case 'drop_answer':
    case 'null_ids':
    case 'bad_ids':
    case 'malformed_body':
    case undefined:
      return true;
  }
}

function attempt(call: Call, visibilityDelayMs: number): Outcome | ApiError {
  try {
    return call.perform({ visibilityDelayMs });
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
}

const HTML_PAGE =
  '<!DOCTYPE html>\n<html><head><title>Please wait</title></head><body><h1>Please wait</h1></body></html>\n';

function answerOf(decisive: Decisive | undefined, outcome: Outcome | ApiError | null): Answer {
  switch (decisive?.kind) {
    case 'drop_answer':
      return { kind: 'closed' };
    case 'reset_before':
      return { kind: 'reset' };
    case 'hang':
      return { kind: 'hang' };
    case 'status':
      return scriptedStatus(decisive);
    case 'redirect': {
      const body: Body = { kind: 'text', contentType: 'text/html; charset=utf-8', text: HTML_PAGE };
      return { kind: 'reply', status: decisive.status, headers: { location: decisive.location }, body };
    }
    case 'html_body': {
      const body: Body = { kind: 'text', contentType: 'text/html; charset=utf-8', text: HTML_PAGE };
      return { kind: 'reply', status: decisive.status ?? 200, headers: {}, body };
    }
    case 'reset_mid_answer': {
      const { status, body } = plain(outcome);
      return { kind: 'cut', status, body: JSON.stringify(body) };
    }
    case 'malformed_body': {
      const { status, body } = plain(outcome);
      if (status >= 400) return json(status, body);
      const text = JSON.stringify(body);
      const cut = text.slice(0, Math.ceil(text.length / 2));
      return {
        kind: 'reply',
        status,
        headers: {},
        body: { kind: 'text', contentType: 'application/json; charset=utf-8', text: cut },
      };
    }
    case 'null_ids': {
      const { status, body } = plain(outcome);
      const isMeant = (key: string): boolean =>
        decisive.which === undefined || decisive.which === 'all' || decisive.which === key;
      return json(
        status,
        withIds(body, (id, key) => (isMeant(key) ? null : String(id))),
      );
    }
    case 'bad_ids': {
      const { status, body } = plain(outcome);
      return json(
        status,
        withIds(body, (id) => BAD_IDS[decisive.how](String(id))),
      );
    }
    case undefined: {
      const { status, body } = plain(outcome);
      return json(status, body);
    }
  }
}

function plain(outcome: Outcome | ApiError | null): { status: number; body: object } {
  if (outcome instanceof ApiError) return { status: outcome.body.status, body: outcome.body };
  if (outcome !== null) return outcome;
  // Only `reset_mid_answer` with `effect: false` comes here: what it starts to say is a failure.
  return { status: 500, body: new ApiError('unexpected_error').body };
}

function json(status: number, value: object): Answer {
  return { kind: 'reply', status, headers: {}, body: { kind: 'json', value } };
}

/** The body with other ids of what was made; a refusal has none. */
function withIds(body: object, change: (id: unknown, key: string) => string | null): object {
  return Object.fromEntries(
    Object.entries(body).map(([key, value]) =>
      /^(chat|message|post)_id$/.test(key) ? [key, change(value, key)] : [key, value],
    ),
  );
}

const BAD_IDS = {
  nul: (id: string) => `${id}\0`,
  half_surrogate: (id: string) => `${id}\ud83d`,
  too_long: (id: string) => id.padEnd(10_000, '-'),
} as const;

function scriptedStatus(action: Extract<Decisive, { kind: 'status' }>): Answer {
  const known = factsOfType(action.type);
  const value: ErrorBody = errorBody(
    action.status,
    action.type,
    action.title ?? known.title,
    action.detail ?? known.detail,
  );
  const retryAfter = action.retry_after ?? action.retry_after_s?.toString();
  const headers: Record<string, string> = retryAfter === undefined ? {} : { 'retry-after': retryAfter };
  return { kind: 'reply', status: action.status, headers, body: { kind: 'json', value } };
}
