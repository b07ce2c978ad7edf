/** Ids of Unipile's and LinkedIn's, as Postgres can keep them. */
import { isStorable } from '../../json/index.ts';

/** Characters of an id. The longest that are known have 60. */
const ID_LENGTH_MAX = 200;

/**
 * An id, or null if it is none that can be kept: cut or mended it would be another's.
 *
 * A record that is refused because of it would lose what it is about: a message that was sent.
 */
export function storableId(id: unknown, lengthMax = ID_LENGTH_MAX): string | null {
  if (typeof id !== 'string' || id === '' || id.length > lengthMax) return null;
  return isStorable(id) ? id : null;
}
