/** Alerts in words. Pure. */
import type { Alert } from '../shapes.ts';
import { table, textCell } from './table.ts';
import { instant, NOTHING, onOneLine } from './words.ts';

export function alertsTable(alerts: readonly Alert[]): string {
  if (alerts.length === 0) return 'There are no such alerts.';
  return table(alerts, [
    { head: 'Began', of: ({ opened_at }) => instant(opened_at) },
    { head: 'Ended', of: ({ ended_at }) => (ended_at === null ? 'not yet' : instant(ended_at)) },
    { head: 'What', of: ({ sentence }) => onOneLine(sentence), width: 48 },
    { head: 'Code', of: ({ code }) => textCell(code) },
    { head: 'About', of: aboutOf, width: 38 },
    { head: 'Told', of: toldOf, width: 30 },
  ]);
}

/** What it is about: the first, and how many more. */
function aboutOf({ subjects }: Alert): string {
  const [first = NOTHING, ...others] = subjects;
  return others.length === 0 ? onOneLine(first) : `${onOneLine(first)} and ${others.length} more`;
}

/** `slack; webhook: waiting (HTTP 500)`: of its latest event. */
function toldOf({ deliveries, ended_at }: Alert): string {
  const event = ended_at === null ? 'opened' : 'ended';
  return deliveries
    .filter((delivery) => delivery.event === event)
    .map(({ channel, status, error }) => {
      if (status === 'delivered') return channel;
      const why = error === null ? '' : ` (${onOneLine(error)})`;
      return `${channel}: ${status === 'waiting' ? 'waiting' : 'given up'}${why}`;
    })
    .join('; ');
}
