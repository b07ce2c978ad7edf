/**
 * The run of `post-scheduler`: the posts' outbox, worked on by the machine that all outboxes share, and beside it
 * a look at the media of what is due within a day.
 */
import type { JobHandler, RunContext } from '../jobs/index.ts';
import { runOutbox } from '../sending/index.ts';
import { checkMedia } from './check-media.ts';
import { createPostOutbox } from './post-outbox.ts';
import { createPostStore } from './store.ts';

/** How long the media may be looked at once there is nothing more to publish, in milliseconds. */
const CHECK_MS_MAX = 60_000;

export const publishPosts: JobHandler = async (context, services) => {
  const publishing = runOutbox(createPostOutbox(services), context, services);
  // One look at the media is enough for all slices.
  if (isScoped(context) || context.slice > 0) return publishing;
  const store = createPostStore(services.rpc, services.settings.postLateLimitMinutes);
  // While the run is under way its job's next slot joins it: so a slow host must not keep it from its end.
  const [stop, done] = [new AbortController(), new AbortController()];
  const checking = checkMedia(store, services, AbortSignal.any([context.signal, stop.signal]));
  const limited = publishing
    // Its failure is thrown below.
    .catch(() => {})
    .then(() => services.effects.sleep(CHECK_MS_MAX, done.signal))
    .then(() => stop.abort());
  // Neither is left unheard because the other failed first.
  const [published, checked] = await Promise.allSettled([publishing, checking]);
  done.abort();
  await limited;
  if (published.status === 'rejected') throw published.reason;
  if (checked.status === 'rejected') throw checked.reason;
  return { ...published.value, ...checked.value };
};

/** A run with parameters does what it was asked for, and nothing else. */
function isScoped({ run }: RunContext): boolean {
  return Object.keys(run.params).length > 0;
}
