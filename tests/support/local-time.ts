/**
 * Local time of an IANA zone, from the JavaScript engine's own zone data: an opinion that is not
 * Postgres's.
 */

export interface LocalTime {
  /** `YYYY-MM-DD` */
  readonly date: string;
  /** Seconds that the local clock shows since 00:00. */
  readonly secondOfDay: number;
  /** ISO day of the week, 1 (Monday) to 7. */
  readonly isoDay: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    });
    formats.set(zone, format);
  }
  return format;
}

/** What the clocks of the zone show, as the milliseconds of a UTC instant that shows the same. */
export function localMs(zone: string, atMs: number): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of formatOf(zone).formatToParts(atMs)) parts[type] = Number(value);
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = parts;
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

export function localTime(zone: string, atMs: number): LocalTime {
  const shown = new Date(localMs(zone, atMs));
  return {
    date: shown.toISOString().slice(0, 10),
    secondOfDay: shown.getUTCHours() * 3600 + shown.getUTCMinutes() * 60 + shown.getUTCSeconds(),
    isoDay: shown.getUTCDay() === 0 ? 7 : shown.getUTCDay(),
  };
}

export const localDate = (zone: string, atMs: number): string => localTime(zone, atMs).date;

/** Whole days from one `YYYY-MM-DD` to another. */
export const daysBetween = (from: string, to: string): number =>
  (Date.parse(to) - Date.parse(from)) / 86_400_000;

/** The day after a `YYYY-MM-DD`. */
export const dayAfter = (date: string): string =>
  new Date(Date.parse(date) + 86_400_000).toISOString().slice(0, 10);
