/**
 * Values as people read them. Pure: the current instant is an argument. Instants are shown in UTC,
 * always.
 */

/** What stands where there is nothing. */
export const NOTHING = '–';

/** An instant to the minute: `2026-11-24 18:30 UTC`. */
export function instant(iso: string | null | undefined): string {
  return shownInstant(iso, 16);
}

/** An instant to the second: `2026-11-24 18:30:05 UTC`. */
export function exactInstant(iso: string | null | undefined): string {
  return shownInstant(iso, 19);
}

function shownInstant(iso: string | null | undefined, length: number): string {
  if (iso === null || iso === undefined) return NOTHING;
  if (iso === 'infinity') return 'until somebody resumes it';
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return printable(iso);
  return `${at.toISOString().slice(0, length).replace('T', ' ')} UTC`;
}

/** How long something took or takes: `850 ms`, `42 s`, `6 min 40 s`, `1 h 05 min`. @param ms at least 0 */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(seconds % 60).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

/** `1 message`, `12 messages`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** The start of an id that is too long for a column. */
export function shortened(text: string, lengthMax = 14): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`;
}

/**
 * Text from elsewhere, safe to show: a terminal takes control characters for commands, and some others turn
 * a line around. Line breaks and tabs stay in what is shown as a block.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu, (character) =>
    character === '\n' || character === '\t' ? character : '�',
  );
}

/** Safe to show, on one line. */
export function onOneLine(text: string): string {
  return printable(text.replace(/\s+/g, ' ').trim());
}

/** Any value of the API as a cell: objects as JSON, instants as such. */
export function anyValue(value: unknown): string {
  if (value === null || value === undefined || value === '') return NOTHING;
  if (typeof value === 'string') return /^\d{4}-\d\d-\d\dT/.test(value) ? instant(value) : onOneLine(value);
  if (Array.isArray(value) && value.every((each) => typeof each !== 'object'))
    return onOneLine(value.join(', '));
  return onOneLine(typeof value === 'object' ? JSON.stringify(value) : String(value));
}
