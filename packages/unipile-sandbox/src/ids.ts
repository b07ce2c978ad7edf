/**
 * Identifiers in the forms the real service uses.
 *
 * The generator takes one seed from `random` when the world is made and hashes a counter after
 * that: ids never collide, whatever `random` returns, and making one does not disturb the draws
 * that decide faults and latencies.
 */
import { createHash } from 'node:crypto';

export interface Ids {
  /** A Unipile id: 22 characters of base64url, which may begin with `-`. */
  next(kind: string): string;
  /** A Unipile id that is always the same for the same key. */
  of(kind: string, key: string): string;
  /** A LinkedIn provider id, `ACoAA…`, always the same for the same key. */
  providerIdOf(key: string): string;
  /** A LinkedIn messaging id, `2-…`. */
  nextMessagingId(): string;
  /** A LinkedIn post id: 19 digits that carry the time in ms, as LinkedIn's do. Unique for 4 million ids. */
  nextPostId(at: Date): string;
  /** An integer in [0, bound) that is always the same for the same key. */
  pick(key: string, bound: number): number;
}

/** @param random uniform in [0, 1); drawn twice, here and now */
export function createIds(random: () => number): Ids {
  const seed = `${Math.floor(random() * 2 ** 32)}.${Math.floor(random() * 2 ** 32)}`;
  let count = 0;
  const digest = (key: string): Buffer => createHash('sha256').update(`${seed}/${key}`).digest();
  const shortId = (key: string): string => digest(key).subarray(0, 16).toString('base64url');
  return {
    next: (kind) => shortId(`${kind}#${++count}`),
    of: (kind, key) => shortId(`${kind}=${key}`),
    providerIdOf: (key) => `ACoAA${digest(`provider=${key}`).subarray(0, 25).toString('base64url')}`,
    nextMessagingId: () =>
      `2-${digest(`messaging#${++count}`).subarray(0, 24).toString('base64').replace(/[+/]/g, 'x')}`,
    nextPostId(at) {
      count += 1;
      // An odd multiplier permutes the 22 low bits, so ids of one millisecond look unordered and stay unique.
      const low = BigInt((count * 2_654_435_761) % 2 ** 22);
      return String((BigInt(at.getTime()) << 22n) | low);
    },
    pick: (key, bound) => digest(`pick=${key}`).readUInt32BE(0) % bound,
  };
}

/** The forms of provider id that can receive a message through each LinkedIn product. */
const RECIPIENT_FORMS: Readonly<Record<string, RegExp>> = {
  classic: /^ACo[A-Za-z0-9_-]{3,96}$/,
  sales_navigator: /^AC[ow][A-Za-z0-9_-]{3,96}$/,
  recruiter: /^A(?:Co|E)[A-Za-z0-9_-]{3,96}$/,
};

export const LINKEDIN_APIS = Object.keys(RECIPIENT_FORMS);

/** Whether an id can stand in `attendees_ids`. A slug, a URL and a URN cannot. */
export function isRecipientId(id: string, api = 'classic'): boolean {
  return RECIPIENT_FORMS[api]?.test(id) ?? false;
}

/** A public identifier made from a name. */
export function slugOf(name: string): string {
  return (
    name
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^-|-$/g, '') || 'member'
  );
}
