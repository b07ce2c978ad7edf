/**
 * How much a JSON text makes once it is read, told from its characters: a few bytes of text can be
 * a hundred of memory.
 */

export interface JsonExtent {
  /** Names, values and brackets, by the signs that part them. */
  readonly parts: number;
  /** Values, by what stands before each: a comma, or the beginning of a list or an object. */
  readonly values: number;
  readonly depth: number;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Of any text, also of one that is no JSON: what the signs outside of its strings say. */
export function jsonExtent(text: string): JsonExtent {
  let names = 0;
  let values = 0;
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at);
        break;
      case COMMA:
        values += 1;
        break;
      case COLON:
        names += 1;
        break;
      case OPEN_BRACE:
      case OPEN_BRACKET:
        values += 1;
        depth += 1;
        deepest = Math.max(deepest, depth);
        break;
      case CLOSE_BRACE:
      case CLOSE_BRACKET:
        depth -= 1;
        break;
    }
  }
  return { parts: 1 + names + values, values, depth: deepest };
}

/** Where the string that begins at `start` ends: at its closing quote, or behind the text. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at;
    at += code === BACKSLASH ? 2 : 1;
  }
  return at;
}
