/** Whether the example went as it must: what LinkedIn saw, and why the rest was not sent. */
import { reasonInWords } from '@revos/core/sending';
import { listPosts, summarize, type UnsentRow } from './report.ts';
import type { Stack } from './stack.ts';

/** Why messages of the example are not sent. Anything else is a broken link. */
const EXPECTED: ReadonlySet<string> = new Set(['not_connected', 'day_limit']);

/** @throws {Error} that says what is wrong, in words for people */
export async function checkExample(stack: Stack): Promise<void> {
  const unsent = await stack.rpc.call<readonly UnsentRow[]>('dm_unsent', { limit: 1_000 });
  const broken = unsent.find(({ reason }) => !EXPECTED.has(reason));
  if (broken) {
    const pause = broken.pause_reason === null ? '' : ` (${broken.pause_reason})`;
    const error = broken.error === null ? '' : `; the last try ended with ${broken.error}`;
    throw new Error(
      `A message of ${broken.account_name} is ${broken.status}: ${reasonInWords(broken.reason)}${pause}${error}`,
    );
  }

  const effects = stack.sandbox.world.effects({ kind: 'message' });
  const { sent, unknown } = await summarize(stack.rpc);
  if (sent === 0) throw new Error('Nothing was sent');
  if (new Set(effects.map(({ recipient_id }) => recipient_id)).size !== effects.length) {
    throw new Error('A message reached LinkedIn twice');
  }
  if (effects.length < sent || effects.length > sent + unknown) {
    throw new Error(`LinkedIn saw ${effects.length} messages, but ${sent} are sent and ${unknown} unknown`);
  }

  const posts = await listPosts(stack.rpc);
  const unpublished = posts.find(({ state }) => state !== 'published');
  if (unpublished) {
    throw new Error(
      `A post of ${unpublished.account_name} is ${unpublished.state}: ${reasonInWords(unpublished.reason ?? '')}`,
    );
  }
  const shown = stack.sandbox.world.effects({ kind: 'post' }).length;
  if (shown !== posts.length) throw new Error(`LinkedIn saw ${shown} posts, of ${posts.length}`);
}
