/** What Unipile says, as Postgres can keep it. */

/** Characters of an id of Unipile's or LinkedIn's. The longest that are known have 60. */
const ID_LENGTH_MAX = 200;

/** Text of any origin: not too long, no NUL, no half of a surrogate pair. */
export function storableText(text: string, lengthMax: number): string {
  return text.replaceAll('\0', '').slice(0, lengthMax).toWellFormed();
}

/**
 * An id, or null if it is none that can be kept: cut or mended it would be another's.
 *
 * A record that is refused because of it would lose what it is about: a message that was sent.
 */
export function storableId(id: unknown, lengthMax = ID_LENGTH_MAX): string | null {
  if (typeof id !== 'string' || id === '' || id.length > lengthMax) return null;
  return id.includes('\0') || !id.isWellFormed() ? null : id;
}
