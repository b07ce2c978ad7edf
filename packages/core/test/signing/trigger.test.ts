import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  isSigningSecret,
  SignatureError,
  type SignedTrigger,
  signTrigger,
  type TriggerBody,
  triggerId,
  verifyTrigger,
} from '../../src/signing/index.ts';

const secretOf = (byteCount: number, fill = 7): string =>
  `whsec_${Buffer.alloc(byteCount, fill).toString('base64')}`;

const SECRET = secretOf(32);
const OTHER = secretOf(32, 8);
const NOW = new Date('2026-03-02T10:00:03.456Z');
const TRIGGER: TriggerBody = {
  job: 'dm-queue',
  scheduled_for: '2026-03-02T10:00:00.000Z',
  trigger: 'vercel-cron',
};

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

type Headers = Record<string, string | string[] | undefined>;

/** Why it is refused; `accepted` if it is not. */
function verdictOf(body: Buffer | string, headers: Headers, secrets: readonly string[] = [SECRET]): string {
  try {
    verifyTrigger(Buffer.from(body), headers, secrets, new Date());
    return 'accepted';
  } catch (error) {
    if (error instanceof SignatureError) return error.kind;
    throw error;
  }
}

const signed = (): SignedTrigger => signTrigger(TRIGGER, [SECRET], NOW);

/** A request signed with the right secret, whatever it says. */
function signedAs(body: string, id = triggerId(TRIGGER.job, TRIGGER.scheduled_for), at = NOW) {
  return {
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(SECRET).sign(id, at, body),
  };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: NOW });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('the wire format', () => {
  it('is HMAC-SHA256 of id.timestamp.body, as computed by hand', () => {
    const { body, headers } = signed();
    expect(headers).toEqual({
      'content-type': 'application/json',
      'webhook-id': 'cron:dm-queue:2026-03-02T10:00:00Z',
      'webhook-timestamp': '1772445603',
      'webhook-signature': `v1,${createHmac('sha256', Buffer.alloc(32, 7))
        .update(`cron:dm-queue:2026-03-02T10:00:00Z.1772445603.${body}`)
        .digest('base64')}`,
    });
    expect(JSON.parse(body)).toEqual(TRIGGER);
  });

  it('stays what it is: a fixed vector', () => {
    const { body, headers } = signed();
    expect(body).toBe(
      '{"job":"dm-queue","scheduled_for":"2026-03-02T10:00:00.000Z","trigger":"vercel-cron"}',
    );
    expect(headers['webhook-signature']).toBe('v1,tDCsMuW4LJMSdyLyDnYKiML0Iytjznnx0NJHUnRTyG4=');
  });

  it('is what the reference library verifies, and signs', () => {
    const { body, headers } = signed();
    expect(new Webhook(SECRET).verify(body, { ...headers })).toEqual(TRIGGER);
    expect(verdictOf(body, signedAs(body))).toBe('accepted');
  });

  it('gives every repeat of a slot the same id', () => {
    const later = signTrigger(TRIGGER, [SECRET], new Date(NOW.getTime() + 60_000));
    expect(later.headers['webhook-id']).toBe(signed().headers['webhook-id']);
    expect(later.headers['webhook-timestamp']).not.toBe(signed().headers['webhook-timestamp']);
  });
});

describe('verifyTrigger', () => {
  it('answers with the trigger that was signed', () => {
    const { body, headers } = signed();
    expect(verifyTrigger(Buffer.from(body), headers, [SECRET], NOW)).toEqual(TRIGGER);
  });

  it.each([
    { ageS: 300, verdict: 'accepted' },
    { ageS: 301, verdict: 'stale' },
    { ageS: 0, verdict: 'accepted' },
    { ageS: -300, verdict: 'accepted' },
    { ageS: -301, verdict: 'stale' },
    { ageS: 86_400, verdict: 'stale' },
  ])('$ageS s old: $verdict', ({ ageS, verdict }) => {
    const { body, headers } = signed();
    vi.setSystemTime(new Date(NOW.getTime() + ageS * 1_000));
    expect(verdictOf(body, headers)).toBe(verdict);
  });

  it.each([
    { name: 'the one that signed', secrets: [SECRET], verdict: 'accepted' },
    { name: 'the new one first, the old one still there', secrets: [OTHER, SECRET], verdict: 'accepted' },
    { name: 'the old one first', secrets: [SECRET, OTHER], verdict: 'accepted' },
    { name: 'another one', secrets: [OTHER], verdict: 'mismatch' },
    { name: 'none', secrets: [], verdict: 'mismatch' },
  ])('secrets, $name: $verdict', ({ secrets, verdict }) => {
    const { body, headers } = signed();
    expect(verdictOf(body, headers, secrets)).toBe(verdict);
  });

  it('the first secret signs', () => {
    const { body, headers } = signTrigger(TRIGGER, [OTHER, SECRET], NOW);
    expect(verdictOf(body, headers, [OTHER])).toBe('accepted');
    expect(verdictOf(body, headers, [SECRET])).toBe('mismatch');
    expect(() => signTrigger(TRIGGER, [], NOW)).toThrow(RangeError);
  });

  it.each<{ name: string; change: Headers; verdict: string }>([
    { name: 'no id', change: { 'webhook-id': undefined }, verdict: 'missing' },
    { name: 'an empty id', change: { 'webhook-id': '' }, verdict: 'missing' },
    { name: 'no timestamp', change: { 'webhook-timestamp': undefined }, verdict: 'missing' },
    { name: 'no signature', change: { 'webhook-signature': undefined }, verdict: 'missing' },
    { name: 'an id twice', change: { 'webhook-id': ['a', 'a'] }, verdict: 'malformed' },
    { name: 'a timestamp twice', change: { 'webhook-timestamp': ['1', '1'] }, verdict: 'malformed' },
    { name: 'a signature twice', change: { 'webhook-signature': ['v1,a', 'v1,a'] }, verdict: 'malformed' },
    { name: 'a timestamp with letters', change: { 'webhook-timestamp': '123abc' }, verdict: 'malformed' },
    {
      name: 'a timestamp in milliseconds',
      change: { 'webhook-timestamp': '1772445603456' },
      verdict: 'malformed',
    },
    { name: 'a negative timestamp', change: { 'webhook-timestamp': '-1772445603' }, verdict: 'malformed' },
    { name: 'a fraction', change: { 'webhook-timestamp': '1772445603.5' }, verdict: 'malformed' },
    { name: 'a timestamp in hex', change: { 'webhook-timestamp': '0x69a5' }, verdict: 'malformed' },
    { name: 'leading zeros', change: { 'webhook-timestamp': '01772445603' }, verdict: 'malformed' },
    { name: 'a sign', change: { 'webhook-timestamp': '+1772445603' }, verdict: 'malformed' },
    { name: 'white space', change: { 'webhook-timestamp': ' 1772445603' }, verdict: 'malformed' },
    { name: 'digits of another script', change: { 'webhook-timestamp': '١٧٧٢٤٤٥٦٠٣' }, verdict: 'malformed' },
    { name: 'the epoch', change: { 'webhook-timestamp': '0' }, verdict: 'mismatch' },
    { name: 'a second more', change: { 'webhook-timestamp': '1772445604' }, verdict: 'mismatch' },
    {
      name: 'the id of another slot',
      change: { 'webhook-id': 'cron:dm-queue:2026-03-02T10:15:00Z' },
      verdict: 'mismatch',
    },
    { name: 'no version', change: { 'webhook-signature': 'AAAA' }, verdict: 'malformed' },
    { name: 'a version alone', change: { 'webhook-signature': 'v1' }, verdict: 'malformed' },
    { name: 'an empty signature', change: { 'webhook-signature': 'v1,' }, verdict: 'malformed' },
    { name: 'another version', change: { 'webhook-signature': 'v2,AAAA' }, verdict: 'mismatch' },
    { name: 'an id of 129 characters', change: { 'webhook-id': 'i'.repeat(129) }, verdict: 'malformed' },
    {
      name: 'eleven signatures',
      change: {
        'webhook-signature': Array(11)
          .fill(`v1,${'A'.repeat(43)}=`)
          .join(' '),
      },
      verdict: 'malformed',
    },
  ])('$name: $verdict', ({ change, verdict }) => {
    const { body, headers } = signed();
    expect(verdictOf(body, { ...headers, ...change })).toBe(verdict);
  });

  it('refuses headers that a server joined because they were repeated', () => {
    const { body, headers } = signed();
    for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const) {
      const joined = { ...headers, [name]: `${headers[name]}, ${headers[name]}` };
      expect(verdictOf(body, joined), name).not.toBe('accepted');
    }
  });

  it.each<{ name: string; change: (signature: string) => string }>([
    { name: 'cut short by one character', change: (signature) => signature.slice(0, -1) },
    { name: 'cut in half', change: (signature) => signature.slice(0, 20) },
    { name: 'without its padding', change: (signature) => signature.replace(/=+$/, '') },
    { name: 'with more padding', change: (signature) => `${signature}=` },
    { name: 'in base64url', change: (signature) => signature.replaceAll('+', '-').replaceAll('/', '_') },
    {
      name: 'in hex',
      change: (signature) => `v1,${Buffer.from(signature.slice(3), 'base64').toString('hex')}`,
    },
    { name: 'in another case', change: (signature) => signature.toUpperCase() },
    { name: 'under another version', change: (signature) => signature.replace('v1,', 'v1a,') },
    { name: 'without its version', change: (signature) => signature.slice(3) },
    { name: 'behind white space', change: (signature) => ` ${signature}` },
    { name: 'before white space', change: (signature) => `${signature} ` },
    {
      name: 'with a line break in it',
      change: (signature) => `${signature.slice(0, 20)}\n${signature.slice(20)}`,
    },
    { name: 'with a NUL behind it', change: (signature) => `${signature}\0` },
    { name: 'after two spaces', change: (signature) => `v1,AAAA  ${signature}` },
    { name: 'after a comma', change: (signature) => `v1,AAAA,${signature}` },
    { name: 'twice, joined', change: (signature) => `${signature},${signature}` },
    {
      name: 'with its last bits changed, which base64 does not tell apart',
      // The last letter carries two bits of nothing.
      change: (signature) =>
        signature.replace(/.=$/, (end) => `${BASE64[BASE64.indexOf(end.charAt(0)) + 1]}=`),
    },
    { name: 'in full-width letters', change: (signature) => signature.replace('v1', 'ｖ１') },
  ])('the right signature, $name: refused', ({ change }) => {
    // Long enough a search for a signature that has all the characters that are encoded otherwise.
    const slots = Array.from({ length: 96 }, (_, quarter) => new Date(Date.UTC(2026, 2, 2, 0, quarter * 15)));
    const requests = slots.map((slot) =>
      signTrigger({ ...TRIGGER, scheduled_for: slot.toISOString() }, [SECRET], NOW),
    );
    const request = requests.find(({ headers }) => /\+.*\/|\/.*\+/.test(headers['webhook-signature']));
    if (request === undefined) throw new Error('no signature has both a plus and a slash');
    const { body, headers } = request;
    const changed = change(headers['webhook-signature']);
    expect(changed).not.toBe(headers['webhook-signature']);
    expect(verdictOf(body, headers)).toBe('accepted');
    expect(verdictOf(body, { ...headers, 'webhook-signature': changed })).toMatch(/^(mismatch|malformed)$/);
  });

  it.each<{ name: string; change: (body: string) => string | Buffer }>([
    { name: 'cut short', change: (body) => body.slice(0, -1) },
    { name: 'with a line break behind it', change: (body) => `${body}\n` },
    { name: 'with white space in it', change: (body) => body.replace(':', ': ') },
    {
      name: 'with its members in another order',
      change: (body) => JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(body)).reverse())),
    },
    { name: 'with a letter escaped', change: (body) => body.replace('dm-queue', '\\u0064m-queue') },
    { name: 'with a member twice', change: (body) => body.replace('{', '{"job":"analytics",') },
    { name: 'behind a byte order mark', change: (body) => `\uFEFF${body}` },
    { name: 'in UTF-16', change: (body) => Buffer.from(body, 'utf16le') },
    { name: 'with a look-alike letter', change: (body) => body.replace('queue', 'queuе') },
    { name: 'in base64', change: (body) => Buffer.from(body).toString('base64') },
  ])('the right body, $name: refused', ({ change }) => {
    const { body, headers } = signed();
    expect(verdictOf(change(body), headers)).toMatch(/^(mismatch|malformed)$/);
  });

  it('bytes that are no text are refused, though they read like the text that was signed', () => {
    const body = `${JSON.stringify(TRIGGER)}\uFFFD`;
    expect(verdictOf(body, signedAs(body))).toBe('malformed');
    const bytes = Buffer.concat([Buffer.from(JSON.stringify(TRIGGER)), Buffer.from([0xff])]);
    expect(bytes.toString()).toBe(body);
    expect(() => verifyTrigger(bytes, signedAs(body), [SECRET], NOW)).toThrow(/no UTF-8/);
  });

  it('a body of more than 1,024 bytes is refused before a signature of it is computed', () => {
    const fit = JSON.stringify(TRIGGER).padEnd(1_024);
    expect(verdictOf(fit, signedAs(fit))).toBe('accepted');
    const long = JSON.stringify(TRIGGER).padEnd(1_025);
    expect(verdictOf(long, signedAs(long))).toBe('malformed');
  });

  it('is of the clock that it is given', () => {
    const { body, headers } = signed();
    const verify = (now: Date) => () => verifyTrigger(Buffer.from(body), headers, [SECRET], now);
    expect(verify(new Date(NOW.getTime() + 300_000))).not.toThrow();
    expect(verify(new Date(NOW.getTime() + 302_000))).toThrow(/five minutes/);
    expect(verify(new Date(NOW.getTime() - 302_000))).toThrow(/five minutes/);
  });

  it('takes several signatures in one header, as the format has it for rotation', () => {
    const { body, headers } = signed();
    const other = signTrigger(TRIGGER, [OTHER], NOW).headers['webhook-signature'];
    const both = { ...headers, 'webhook-signature': `${other} ${headers['webhook-signature']}` };
    expect(verdictOf(body, both)).toBe('accepted');
    expect(verdictOf(body, { ...headers, 'webhook-signature': other })).toBe('mismatch');
  });

  it.each<{ name: string; body: string; id?: string; verdict: string }>([
    { name: 'no JSON', body: '{"job":', verdict: 'malformed' },
    { name: 'nothing', body: '', verdict: 'malformed' },
    { name: 'null', body: 'null', verdict: 'malformed' },
    { name: 'a list', body: '[]', verdict: 'malformed' },
    { name: 'no job', body: '{"scheduled_for":"2026-03-02T10:00:00.000Z"}', verdict: 'malformed' },
    { name: 'one field more', body: JSON.stringify({ ...TRIGGER, force: true }), verdict: 'malformed' },
    { name: 'an empty job', body: JSON.stringify({ ...TRIGGER, job: '' }), verdict: 'malformed' },
    {
      name: 'a job of 65 characters',
      body: JSON.stringify({ ...TRIGGER, job: 'j'.repeat(65) }),
      verdict: 'malformed',
    },
    {
      name: 'a slot without milliseconds',
      body: JSON.stringify({ ...TRIGGER, scheduled_for: '2026-03-02T10:00:00Z' }),
      verdict: 'malformed',
    },
    {
      name: 'a slot in another zone',
      body: JSON.stringify({ ...TRIGGER, scheduled_for: '2026-03-02T10:00:00.000+01:00' }),
      verdict: 'malformed',
    },
    {
      name: 'a trigger that may not sign',
      body: JSON.stringify({ ...TRIGGER, trigger: 'ops' }),
      verdict: 'malformed',
    },
    {
      name: 'another job than the id names',
      body: JSON.stringify({ ...TRIGGER, job: 'analytics' }),
      verdict: 'mismatch',
    },
    {
      name: 'another slot than the id names',
      body: JSON.stringify({ ...TRIGGER, scheduled_for: '2026-03-02T10:15:00.000Z' }),
      verdict: 'mismatch',
    },
    { name: 'an id that names no slot', body: JSON.stringify(TRIGGER), id: 'msg_1', verdict: 'mismatch' },
    {
      name: 'an id of a slot and more',
      body: JSON.stringify(TRIGGER),
      id: 'cron:dm-queue:2026-03-02T10:00:00Z:2',
      verdict: 'mismatch',
    },
  ])('signed well, but $name: $verdict', ({ body, id, verdict }) => {
    expect(verdictOf(body, signedAs(body, id))).toBe(verdict);
  });

  it('a captured request cannot be turned on another job', () => {
    const { headers } = signed();
    const turned = JSON.stringify({ ...TRIGGER, job: 'post-scheduler' });
    expect(verdictOf(turned, headers)).toBe('mismatch');
    expect(
      verdictOf(turned, { ...headers, 'webhook-id': triggerId('post-scheduler', TRIGGER.scheduled_for) }),
    ).toBe('mismatch');
  });

  it('refuses any change of any one byte', () => {
    const request = signed();
    const parts = {
      body: request.body,
      'webhook-id': request.headers['webhook-id'],
      'webhook-timestamp': request.headers['webhook-timestamp'],
      'webhook-signature': request.headers['webhook-signature'],
    };
    const names = Object.keys(parts) as (keyof typeof parts)[];
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.nat(), fc.integer({ min: 1, max: 255 }), (name, at, flip) => {
        const bytes = Buffer.from(parts[name]);
        const index = at % bytes.length;
        bytes[index] = (bytes[index] ?? 0) ^ flip;
        const { body, ...headers } = { ...parts, [name]: name === 'body' ? bytes : bytes.toString('latin1') };
        expect(verdictOf(body, headers)).not.toBe('accepted');
      }),
      { numRuns: 2_000 },
    );
  });

  it('tells nothing of a secret or a signature in its errors', () => {
    const { body, headers } = signed();
    try {
      verifyTrigger(Buffer.from(body), headers, [OTHER], NOW);
      expect.unreachable();
    } catch (error) {
      const said = `${(error as Error).message} ${(error as Error).stack} ${JSON.stringify(error)}`;
      expect(said).not.toContain(OTHER.slice(6, 30));
      expect(said).not.toContain(headers['webhook-signature'].slice(3, 20));
    }
  });
});

describe('isSigningSecret', () => {
  it.each([
    { name: '24 bytes', secret: secretOf(24), is: true },
    { name: '32 bytes', secret: secretOf(32), is: true },
    { name: '64 bytes', secret: secretOf(64), is: true },
    { name: '23 bytes', secret: secretOf(23), is: false },
    { name: '65 bytes', secret: secretOf(65), is: false },
    { name: '66 bytes', secret: secretOf(66), is: false },
    { name: 'no prefix', secret: secretOf(32).slice(6), is: false },
    { name: 'another prefix', secret: secretOf(32).replace('whsec', 'whpk'), is: false },
    { name: 'base64url', secret: `whsec_${'-_'.repeat(20)}`, is: false },
    { name: 'white space', secret: ` ${secretOf(32)}`, is: false },
    { name: 'a line break at its end', secret: `${secretOf(32)}\n`, is: false },
    { name: 'padding that is missing', secret: secretOf(32).replace(/=+$/, ''), is: false },
    { name: 'padding too much', secret: `${secretOf(24)}=`, is: false },
    { name: 'nothing', secret: '', is: false },
    { name: 'the prefix alone', secret: 'whsec_', is: false },
  ])('$name: $is', ({ secret, is }) => {
    expect(isSigningSecret(secret)).toBe(is);
  });

  it('a secret that it accepts is one that signs', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'AZaz09+/='), minLength: 30, maxLength: 92 }),
        (rest) => {
          const secret = `whsec_${rest}`;
          if (!isSigningSecret(secret)) return;
          const { body, headers } = signTrigger(TRIGGER, [secret], NOW);
          expect(verdictOf(body, headers, [secret])).toBe('accepted');
        },
      ),
    );
  });
});

describe('triggerId', () => {
  it.each([
    { job: 'dm-queue', slot: '2026-03-02T10:00:00.000Z', id: 'cron:dm-queue:2026-03-02T10:00:00Z' },
    { job: 'analytics', slot: '2027-01-01T00:00:00.000Z', id: 'cron:analytics:2027-01-01T00:00:00Z' },
  ])('$id', ({ job, slot, id }) => {
    expect(triggerId(job, slot)).toBe(id);
  });
});
