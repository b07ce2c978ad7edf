/**
 * The faults a caller can script: which requests, what happens to them, how often.
 *
 * Whether the message reached LinkedIn is never implied by what the client sees: actions that
 * could go either way carry `effect`, which must be given.
 */
import { type Static, Type } from 'typebox';
import { AccountStatus } from './declarations.ts';

const Milliseconds = Type.Integer({ minimum: 0, maximum: 86_400_000 });
const strict = { additionalProperties: false } as const;
const kind = <K extends string>(name: K) => Type.Literal(name);

/** Every action by its `kind`; the record lets a bad body be checked against the action it names. */
export const ACTIONS = {
  /** The effect happens, then the connection is closed without an answer. */
  drop_answer: Type.Object({ kind: kind('drop_answer') }, strict),
  /** The connection is reset (RST). No effect. */
  reset_before: Type.Object({ kind: kind('reset_before') }, strict),
  /** Headers and half of the body are sent, then the connection is cut. Effect unless `effect: false`. */
  reset_mid_answer: Type.Object(
    { kind: kind('reset_mid_answer'), effect: Type.Optional(Type.Boolean()) },
    strict,
  ),
  /** No answer until the client gives up. */
  hang: Type.Object({ kind: kind('hang'), effect: Type.Boolean() }, strict),
  /** Any error status. With `effect: true` it lies: the write was carried out. */
  status: Type.Object(
    {
      kind: kind('status'),
      status: Type.Integer({ minimum: 400, maximum: 599 }),
      type: Type.String({ pattern: '^errors/[a-z0-9_]{1,80}$' }),
      title: Type.Optional(Type.String({ maxLength: 200 })),
      detail: Type.Optional(Type.String({ maxLength: 1_000 })),
      effect: Type.Boolean(),
      /** Sent as `Retry-After`; left out, as the real v1 does, unless given. */
      retry_after_s: Type.Optional(Type.Integer({ minimum: 0, maximum: 604_800 })),
      /** The same as text, for a date or for nonsense; stands before `retry_after_s`. */
      retry_after: Type.Optional(Type.String({ pattern: '^[ -~]{1,100}$' })),
    },
    strict,
  ),
  /** A redirect, as of something before Unipile. The write may have been carried out before it. */
  redirect: Type.Object(
    {
      kind: kind('redirect'),
      status: Type.Integer({ minimum: 300, maximum: 399 }),
      location: Type.String({ pattern: '^[!-~]{1,2000}$' }),
      effect: Type.Boolean(),
    },
    strict,
  ),
  /** Waits `ms`, or a draw between `min_ms` and `max_ms`, then goes on. */
  latency: Type.Object(
    {
      kind: kind('latency'),
      ms: Type.Optional(Milliseconds),
      min_ms: Type.Optional(Milliseconds),
      max_ms: Type.Optional(Milliseconds),
      /** When the effect becomes true: as the wait starts, or (the default) as it ends. */
      effect_at: Type.Optional(Type.Union([Type.Literal('start'), Type.Literal('end')])),
    },
    strict,
  ),
  /** Success with ids that are null; `all` by default. */
  null_ids: Type.Object(
    {
      kind: kind('null_ids'),
      which: Type.Optional(
        Type.Union([
          Type.Literal('chat_id'),
          Type.Literal('message_id'),
          Type.Literal('post_id'),
          Type.Literal('all'),
        ]),
      ),
    },
    strict,
  ),
  /** Success with ids that no database keeps: a NUL in them, half of a surrogate pair, or far too long. */
  bad_ids: Type.Object(
    {
      kind: kind('bad_ids'),
      how: Type.Union([Type.Literal('nul'), Type.Literal('half_surrogate'), Type.Literal('too_long')]),
    },
    strict,
  ),
  /** The effect happens; the body of the success is cut JSON. */
  malformed_body: Type.Object({ kind: kind('malformed_body') }, strict),
  /** A page of HTML, as a proxy would answer. Status 200 unless given. */
  html_body: Type.Object(
    {
      kind: kind('html_body'),
      status: Type.Optional(Type.Integer({ minimum: 200, maximum: 599 })),
      effect: Type.Boolean(),
    },
    strict,
  ),
  /** The effect happens now; reads and webhooks show it after `ms`. */
  late_visibility: Type.Object({ kind: kind('late_visibility'), ms: Milliseconds }, strict),
  /** Flips the account's status: before the request is looked at (the default) or after it. */
  account_status: Type.Object(
    {
      kind: kind('account_status'),
      status: AccountStatus,
      when: Type.Optional(Type.Union([Type.Literal('before'), Type.Literal('after')])),
    },
    strict,
  ),
};

export type ActionKind = keyof typeof ACTIONS;
export type Action = { [K in ActionKind]: Static<(typeof ACTIONS)[K]> }[ActionKind];
export type ActionOf<K extends ActionKind> = Extract<Action, { kind: K }>;

/** `send` is a first message or a later one. */
const MatchOperation = Type.Union([
  Type.Literal('send'),
  Type.Literal('start_chat'),
  Type.Literal('send_message'),
  Type.Literal('create_post'),
  Type.Literal('invite'),
  Type.Literal('read'),
  Type.Literal('any'),
]);

export const Match = Type.Object(
  {
    operation: MatchOperation,
    account_id: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    recipient_id: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    text_contains: Type.Optional(Type.String({ minLength: 1, maxLength: 1_000 })),
  },
  strict,
);
export type Match = Static<typeof Match>;

/** A fault without its action, which is checked on its own so that an error names the field. */
export const FaultEnvelope = Type.Object(
  {
    match: Match,
    action: Type.Object({ kind: Type.Enum(Object.keys(ACTIONS)) }),
    /** How many requests it strikes. Default 1; null is every one. */
    times: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 1_000_000 }), Type.Null()])),
    /** Chance in [0, 1] to strike a request that matches. Default 1. */
    probability: Type.Optional(Type.Number({ minimum: 0, maximum: 1 })),
    /** Lets this many matching requests pass first. Default 0. */
    skip: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
  },
  strict,
);

export interface Fault {
  readonly match: Match;
  readonly action: Action;
  readonly times?: number | null;
  readonly probability?: number;
  readonly skip?: number;
}

/** A fault as listed: with its id and what it has done so far. */
export interface FaultReport extends Fault {
  readonly id: string;
  /** Requests that matched, including those skipped or spared by chance. */
  readonly matched: number;
  /** Requests struck. */
  readonly hits: number;
}
