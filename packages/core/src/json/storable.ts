/** Text that Postgres can keep: without a NUL, and without half of a surrogate pair. */

export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');

/** What can be kept of a text of any origin: at most `lengthMax` UTF-16 units. */
export const storableText = (text: string, lengthMax: number): string =>
  text.replaceAll('\0', '').slice(0, lengthMax).toWellFormed();
