/**
 * The run of `post-scheduler`: the posts' outbox, worked on by the machine that all outboxes share, and beside it
 * a look at the media of what is due within a day.
 */
import type { JobHandler, RunContext } from '../jobs/index.ts';
import { runOutbox } from '../sending/index.ts';
import { checkMedia } from './check-media.ts';
import { createPostOutbox } from './post-outbox.ts';
import { createPostStore } from './store.ts';

export const publishPosts: JobHandler = async (context, services) => {
  const publishing = runOutbox(createPostOutbox(services), context, services);
  if (isScoped(context)) return publishing;
  const store = createPostStore(services.rpc, services.settings.postLateLimitMinutes);
  // Neither is left unheard because the other failed first.
  const [published, checked] = await Promise.allSettled([
    publishing,
    checkMedia(store, services, context.signal),
  ]);
  if (published.status === 'rejected') throw published.reason;
  if (checked.status === 'rejected') throw checked.reason;
  return { ...published.value, ...checked.value };
};

/** A run with parameters does what it was asked for, and nothing else. */
function isScoped({ run }: RunContext): boolean {
  return Object.keys(run.params).length > 0;
}
