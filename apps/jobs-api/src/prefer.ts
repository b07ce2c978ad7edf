/** The `Prefer` header (RFC 7240), of which `wait` is understood here. */

/** The longest wait, in seconds. */
export const WAIT_SECONDS_MAX = 300;

const WAIT = /^wait\s*=\s*(?:"(\d{1,9})"|(\d{1,9}))\s*(?:;.*)?$/i;

/**
 * The seconds to wait, at most `WAIT_SECONDS_MAX`; null if no wait is asked for. The first of several
 * counts, and a preference that cannot be read is ignored, as the RFC has it.
 */
export function preferredWaitSeconds(header: string | string[] | undefined): number | null {
  const preferences = [header ?? []].flat().join(',').split(',');
  for (const preference of preferences) {
    const match = WAIT.exec(preference.trim());
    if (match) return Math.min(Number(match[1] ?? match[2]), WAIT_SECONDS_MAX);
  }
  return null;
}
