import { exactTime, relativeTime } from './words.ts';

/** An instant as people say it, with the exact one behind it. */
export function Instant({ at, now }: { at: Date | string; now: Date }) {
  const instant = new Date(at);
  return (
    <time dateTime={instant.toISOString()} title={exactTime(instant)}>
      {relativeTime(instant, now)}
    </time>
  );
}
