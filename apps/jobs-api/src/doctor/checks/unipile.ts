/** Unipile: reached, with a key that it takes. */
import type { Context } from '../context.ts';
import { type Finding, ok, skipped, warning, wrong } from '../finding.ts';

export async function checkUnipile(context: Context): Promise<Finding[]> {
  const seen = await context.unipile();
  if (seen.kind === 'unreadable') return [skipped('Unipile', 'its variables are missing or malformed')];
  if (seen.kind === 'reached') {
    const { accounts } = seen;
    const disconnected = accounts.filter(({ isConnected }) => !isConnected).map(({ id }) => id);
    const found = ok('Unipile', `takes the key; LinkedIn accounts: ${accounts.length}`);
    if (disconnected.length === 0) return [found];
    return [
      found,
      warning(
        'Unipile',
        `not connected: ${listed(disconnected)}`,
        'connect them again in RevOS; nothing is sent from them meanwhile',
      ),
    ];
  }
  const { asked } = seen;
  if (asked.kind === 'no_answer') {
    const remedy = 'look at host and port of UNIPILE_DSN: Unipile dashboard, at the top';
    return [wrong('UNIPILE_DSN', `does not answer: ${asked.code}`, remedy)];
  }
  if (asked.status === 401 || asked.status === 403) {
    const remedy = 'Unipile dashboard → Access Tokens: generate one for this DSN; a key of v2 is none for v1';
    return [wrong('UNIPILE_API_KEY', `is refused (${asked.status})`, remedy)];
  }
  const remedy = 'is UNIPILE_DSN the one that the Unipile dashboard shows? If it is, try again later';
  return [wrong('UNIPILE_DSN', `answers ${asked.status}, and no list of accounts`, remedy)];
}

const LISTED_MAX = 10;

/** How many, and the first of them: ids, which are no names. */
export const listed = (ids: readonly string[]): string =>
  `${ids.length} (${ids.slice(0, LISTED_MAX).join(', ')}${ids.length > LISTED_MAX ? ', …' : ''})`;
