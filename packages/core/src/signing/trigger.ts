/**
 * Signed triggers: how the web app proves to the jobs API that it asks for one slot of one job.
 *
 * The wire format is Standard Webhooks (HMAC-SHA256 over `id.timestamp.body`). The id names the
 * slot and the body names the job, so that a captured request can neither be turned on another job
 * nor, since a slot makes one run, be replayed to effect. Several secrets verify and the first one
 * signs: a secret is rotated by adding, switching, then removing.
 */

import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import Type, { type Static } from 'typebox';
import { Value } from 'typebox/value';
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

export interface SignedTrigger {
  readonly body: string;
  readonly headers: {
    readonly 'content-type': 'application/json';
    readonly 'webhook-id': string;
    readonly 'webhook-timestamp': string;
    readonly 'webhook-signature': string;
  };
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
  return {
    body,
    headers: {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
      'webhook-signature': new Webhook(secret).sign(id, now, body),
    },
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
): TriggerBody {
  const required = {
    'webhook-id': headers['webhook-id'],
    'webhook-timestamp': headers['webhook-timestamp'],
    'webhook-signature': headers['webhook-signature'],
  };
  for (const [name, value] of Object.entries(required)) {
    if (value === undefined || value === '') throw new SignatureError('missing', `${name} is missing`);
    if (typeof value !== 'string') throw new SignatureError('malformed', `${name} is repeated`);
  }
  const given = required as Record<keyof typeof required, string>;
  if (!/^\d{1,12}$/.test(given['webhook-timestamp'])) {
    throw new SignatureError('malformed', 'webhook-timestamp is not a unix time in seconds');
  }
  if (!SIGNATURES.test(given['webhook-signature'])) {
    throw new SignatureError('malformed', 'webhook-signature is not a list of versions and signatures');
  }
  verifyAny(rawBody, given, secrets);
  return readBody(rawBody, given['webhook-id']);
}

/** Every secret is tried, whichever one matches, so that the time taken tells nothing. */
function verifyAny(
  rawBody: Buffer,
  headers: Readonly<Record<'webhook-id' | 'webhook-timestamp' | 'webhook-signature', string>>,
  secrets: readonly string[],
): void {
  const verified = secrets.map((secret) => {
    try {
      new Webhook(secret).verify(rawBody, headers, { jsonParse: false });
      return true;
    } catch (error) {
      if (error instanceof WebhookVerificationError) return false;
      throw error;
    }
  });
  if (verified.includes(true)) return;
  // Refused, although it is the very signature of this body at that time: then the time is the reason.
  // Only who holds a secret learns so.
  const signedAt = new Date(Number(headers['webhook-timestamp']) * 1_000);
  const given = headers['webhook-signature'].split(' ');
  const signed = secrets.map((secret) => {
    const expected = new Webhook(secret).sign(headers['webhook-id'], signedAt, rawBody);
    return given.map((signature) => isSameSecret(signature, expected)).includes(true);
  });
  if (signed.includes(true)) {
    throw new SignatureError('stale', 'webhook-timestamp is more than five minutes from now');
  }
  throw new SignatureError('mismatch', 'the signature matches no secret');
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
