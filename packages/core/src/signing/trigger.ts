/**
 * Signed triggers: how the web app proves to the jobs API that it asks for one slot of one job.
 *
 * The wire format is Standard Webhooks (HMAC-SHA256 over `id.timestamp.body`). The id names the
 * slot and the body names the job, so that a captured request can neither be turned on another job
 * nor, since a slot makes one run, be replayed to effect. Several secrets verify and the first one
 * signs: a secret is rotated by adding, switching, then removing.
 */

import { isUtf8 } from 'node:buffer';
import { Webhook } from 'standardwebhooks';
import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
import { commaSeparated } from '../config/index.ts';
import { isSameSecret } from './tokens.ts';

/** The body of a signed trigger. */
export const TriggerBody = Type.Object(
  {
    job: Type.String({ minLength: 1, maxLength: 64 }),
    /** The slot, ISO 8601 in UTC with milliseconds. */
    scheduled_for: Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}:\\d{2}\\.\\d{3}Z$' }),
    trigger: Type.Literal('vercel-cron'),
  },
  { $id: 'TriggerBody', additionalProperties: false },
);
export type TriggerBody = Static<typeof TriggerBody>;

/**
 * Stands for the job in a trigger that starts nothing, and asks only whether token and signature
 * are accepted.
 */
export const TRIGGER_CHECK = 'trigger-check';

export type SignedHeaders = Readonly<
  Record<'content-type' | 'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>
>;

export interface SignedTrigger {
  readonly body: string;
  readonly headers: SignedHeaders;
}

/** Why a trigger was refused. A caller answers all of them alike, and logs the kind. */
export type SignatureErrorKind = 'missing' | 'malformed' | 'stale' | 'mismatch';

export class SignatureError extends Error {
  override readonly name = 'SignatureError';
  readonly kind: SignatureErrorKind;

  constructor(kind: SignatureErrorKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

const SECRET_PREFIX = 'whsec_';

/** 24 to 64 random bytes, as the Standard Webhooks specification asks. */
const SECRET_BYTES_MIN = 24;
const SECRET_BYTES_MAX = 64;

/** How old a signature may be, and how far ahead, in milliseconds. */
const TOLERANCE_MS = 5 * 60_000;

/**
 * What is read of a request before anything of it is known to be ours. A trigger has some 150 bytes, an id
 * at most 95, and one signature 47: whoever sends more asks for work, and not for a run.
 */
const BODY_BYTES_MAX = 1_024;
const ID_LENGTH_MAX = 128;
const SIGNATURES_LENGTH_MAX = 512;

/** One or more signatures with their versions, separated by spaces. */
const SIGNATURES = /^v\d[a-z]?,[A-Za-z0-9+/]+={0,2}(?: v\d[a-z]?,[A-Za-z0-9+/]+={0,2})*$/;

/** Whether `secret` has the form `whsec_<base64 of 24 to 64 bytes>`, padded: what signing can use. */
export function isSigningSecret(secret: string): boolean {
  if (!secret.startsWith(SECRET_PREFIX)) return false;
  const encoded = secret.slice(SECRET_PREFIX.length);
  const bytes = Buffer.from(encoded, 'base64');
  return (
    bytes.length >= SECRET_BYTES_MIN &&
    bytes.length <= SECRET_BYTES_MAX &&
    bytes.toString('base64') === encoded
  );
}

/** Whether a comma-separated list has secrets that signing can use, and nothing else. */
export function areSigningSecrets(list: string): boolean {
  const secrets = commaSeparated(list);
  return secrets.length > 0 && secrets.every(isSigningSecret);
}

/** The id of the slot's trigger: the same for every repeat of it. */
export function triggerId(job: string, scheduledFor: string): string {
  return `cron:${job}:${scheduledFor.replace(/\.\d{3}Z$/, 'Z')}`;
}

/**
 * Signs the trigger of one slot.
 *
 * @param secrets `whsec_…`; the first one signs
 */
export function signTrigger(trigger: TriggerBody, secrets: readonly string[], now: Date): SignedTrigger {
  const [secret] = secrets;
  if (secret === undefined) throw new RangeError('signTrigger needs at least one secret');
  const body = JSON.stringify(trigger);
  const id = triggerId(trigger.job, trigger.scheduled_for);
  return { body, headers: signedHeaders(id, body, [secret], now) };
}

/**
 * The headers of any other request of ours, as Standard Webhooks has them. Each secret signs, so
 * that a receiver may hold the one or the other while they change.
 *
 * @param secrets `whsec_…`; one at least
 */
export function signedHeaders(
  id: string,
  body: string,
  secrets: readonly string[],
  now: Date,
): SignedHeaders {
  if (secrets.length === 0) throw new RangeError('signedHeaders needs at least one secret');
  return {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': secrets.map((secret) => new Webhook(secret).sign(id, now, body)).join(' '),
  };
}

/**
 * Verifies a trigger against its raw body. Fresh means at most five minutes old or ahead.
 *
 * @param headers as received; a repeated header (an array, or joined by commas) is refused
 * @throws {SignatureError}
 */
export function verifyTrigger(
  rawBody: Buffer,
  headers: Readonly<Record<string, string | string[] | undefined>>,
  secrets: readonly string[],
  now: Date,
): TriggerBody {
  const { id, timestamp, signatures } = readHeaders(headers);
  // What is signed is text: bytes that are none would all be the same one.
  if (rawBody.length > BODY_BYTES_MAX || !isUtf8(rawBody)) {
    throw new SignatureError('malformed', `the body is longer than ${BODY_BYTES_MAX} bytes, or is no UTF-8`);
  }
  const signedAt = new Date(Number(timestamp) * 1_000);
  // Every signature is compared for every secret, whichever one matches, so that the time taken
  // tells nothing.
  const matches = secrets.flatMap((secret) => {
    const expected = new Webhook(secret).sign(id, signedAt, rawBody);
    return signatures.map((signature) => isSameSecret(signature, expected));
  });
  if (!matches.includes(true)) throw new SignatureError('mismatch', 'the signature matches no secret');
  // Only who holds a secret learns that the time is the reason.
  const nowSeconds = Math.floor(now.getTime() / 1_000);
  if (Math.abs(nowSeconds * 1_000 - signedAt.getTime()) > TOLERANCE_MS) {
    throw new SignatureError('stale', 'webhook-timestamp is more than five minutes from now');
  }
  return readBody(rawBody, id);
}

interface SignatureHeaders {
  readonly id: string;
  /** A unix time in seconds. */
  readonly timestamp: string;
  /** With their versions. */
  readonly signatures: readonly string[];
}

function readHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): SignatureHeaders {
  const oneOf = (name: string): string => {
    const value = headers[name];
    if (value === undefined || value === '') throw new SignatureError('missing', `${name} is missing`);
    if (typeof value !== 'string') throw new SignatureError('malformed', `${name} is repeated`);
    return value;
  };
  const [id, timestamp, signatures] = [
    oneOf('webhook-id'),
    oneOf('webhook-timestamp'),
    oneOf('webhook-signature'),
  ];
  if (id.length > ID_LENGTH_MAX) throw new SignatureError('malformed', 'webhook-id is too long');
  // Written otherwise, it would be another text that is signed.
  if (!/^(?:0|[1-9]\d{0,11})$/.test(timestamp)) {
    throw new SignatureError('malformed', 'webhook-timestamp is not a unix time in seconds');
  }
  if (signatures.length > SIGNATURES_LENGTH_MAX || !SIGNATURES.test(signatures)) {
    throw new SignatureError('malformed', 'webhook-signature is not a list of versions and signatures');
  }
  return { id, timestamp, signatures: signatures.split(' ') };
}

function readBody(rawBody: Buffer, id: string): TriggerBody {
  let body: unknown;
  try {
    body = JSON.parse(rawBody.toString('utf8'));
  } catch {
    throw new SignatureError('malformed', 'the body is not JSON');
  }
  if (!Value.Check(TriggerBody, body)) {
    const [first] = Value.Errors(TriggerBody, body);
    throw new SignatureError('malformed', `body${first?.instancePath ?? ''}: ${first?.message ?? 'invalid'}`);
  }
  if (triggerId(body.job, body.scheduled_for) !== id) {
    throw new SignatureError('mismatch', 'webhook-id does not name the slot in the body');
  }
  return body;
}
