/**
 * The run of `post-scheduler`: the posts' outbox, worked on by the machine that all outboxes share,
 * and beside it a look at the media of what is due within a day.
 */
import type { JobHandler, JobServices, RunContext, RunStats } from '../jobs/index.ts';
import { type Outbox, runOutbox } from '../sending/index.ts';
import { createMediaWatch, type MediaWatch } from './media-watch.ts';
import { createPostOutbox } from './post-outbox.ts';
import { type ClaimedPost, createPostStore, type PostResult } from './store.ts';

/** How long the media may be looked at once there is nothing more to publish, in milliseconds. */
const CHECK_MS_MAX = 60_000;

export const publishPosts: JobHandler = async (context, services) => {
  const outbox = createPostOutbox(services);
  // One look at the media is enough for all slices.
  if (isScoped(context) || !context.isFirst) return runOutbox(outbox, context, services);
  const watch = createMediaWatch(
    createPostStore(services.rpc, services.settings.postLateLimitMinutes),
    services,
  );
  const watched = stayingFor(watch, outbox);
  let { stats } = context.run;
  for (;;) {
    const round = await publishOnce(watched, watch, { ...context, run: { ...context.run, stats } }, services);
    stats = { ...round.stats, ...watch.counts() };
    // A file is there by now, for which a post was held that may be due.
    if (!round.hasFreed || context.signal.aborted) return stats;
  }
};

/** Publishes what can go before the horizon, and looks at media meanwhile. */
async function publishOnce(
  outbox: Outbox<ClaimedPost, PostResult>,
  watch: MediaWatch,
  context: RunContext,
  services: JobServices,
): Promise<{ readonly stats: RunStats; readonly hasFreed: boolean }> {
  const [published, stop, done] = [new AbortController(), new AbortController(), new AbortController()];
  const publishing = runOutbox(outbox, context, services).finally(() => published.abort());
  const checking = watch.work(published.signal, AbortSignal.any([context.signal, stop.signal]));
  // While the run is under way its job's next slot joins it: so a slow host must not keep it from its end.
  const limited = publishing
    // Its failure is thrown below.
    .catch(() => {})
    .then(() => services.effects.sleep(CHECK_MS_MAX, done.signal))
    .then(() => stop.abort());
  // Neither is left unheard because the other failed first.
  const [sent, checked] = await Promise.allSettled([publishing, checking]);
  done.abort();
  await limited;
  if (sent.status === 'rejected') throw sent.reason;
  if (checked.status === 'rejected') throw checked.reason;
  return { stats: sent.value, hasFreed: checked.value.hasFreed };
}

/** The outbox of a run that also stays for the next look at media: a post may be held until then, and due. */
function stayingFor(
  watch: MediaWatch,
  outbox: Outbox<ClaimedPost, PostResult>,
): Outbox<ClaimedPost, PostResult> {
  return {
    ...outbox,
    async claim(request) {
      const claim = await outbox.claim(request);
      const look = watch.nextAt(new Date(claim.now));
      const isFirst =
        look !== null && (claim.next_claim_at === null || look.getTime() < Date.parse(claim.next_claim_at));
      return isFirst ? { ...claim, next_claim_at: look.toISOString() } : claim;
    },
  };
}

/** A run with parameters does what it was asked for, and nothing else. */
function isScoped({ run }: RunContext): boolean {
  return Object.keys(run.params).length > 0;
}
