/**
 * Whether a text that LinkedIn shows is the one that was sent.
 *
 * Pure. What a reader cannot see may differ: line ends, kinds of spaces, how many of them stand in
 * a row, blank lines, characters that show nothing (joiners and selectors among them), composed
 * letters, white space around the text. What LinkedIn and Unipile put in may stand there: a
 * mention's name for its mark, a short link for a link, the external link at the end. Nothing else
 * may: a text wrongly found is never sent, and one wrongly missed is sent twice.
 */

export interface SentText {
  readonly text: string;
  /** `{{0}}` in the text stands for the first. */
  readonly mentions?: readonly { readonly name: string }[];
  /** What may have been put at the end. */
  readonly externalLink?: string | null;
}

/** The longest text that is compared: several times of what any may become on its way. */
const SHOWN_LENGTH_MAX = 100_000;

export function isSameText(sent: SentText, shown: string): boolean {
  if (shown.length > SHOWN_LENGTH_MAX) return false;
  const seen = seenText(shown);
  const texts = [sent.text, withNames(sent.text, sent.mentions ?? [])].map(seenText);
  return texts.some((text) => {
    // Nothing to see: it could be any message without a text.
    if (text === '') return false;
    return areSame(text, seen) || hasLinkBehind(text, seen, sent.externalLink ?? null);
  });
}

/**
 * What shows nothing: default-ignorable code points, and controls. Not the tags that make a flag a
 * country's, of which the first group keeps hold.
 */
const UNSEEN =
  /(\u{1f3f4}[\u{e0020}-\u{e007e}]+\u{e007f})|(?![\u3164\uffa0])\p{Default_Ignorable_Code_Point}|(?![\t\n\v\f])\p{Cc}/gu;

/** Spaces of every kind, and fillers, which look like one. */
const SPACE = /[\t\v\f\p{Zs}\u2800\u3164\uffa0]/gu;

/** The text as a reader sees it. `text_seen` in SQL says the same. */
export function seenText(text: string): string {
  return text
    .replace(/\r\n?|[\u0085\u2028\u2029]/g, '\n')
    .replace(UNSEEN, '$1')
    .replace(SPACE, ' ')
    .replace(/[ \n]+/g, (run) => (run.includes('\n') ? '\n' : ' '))
    .normalize('NFC')
    .trim();
}

function withNames(text: string, mentions: readonly { readonly name: string }[]): string {
  return text.replace(/\{\{(\d{1,3})\}\}/g, (mark, index) => mentions[Number(index)]?.name ?? mark);
}

function hasLinkBehind(text: string, seen: string, link: string | null): boolean {
  if (link === null) return false;
  const last = seen.split(/\s/).at(-1) ?? '';
  const before = seen.slice(0, seen.length - last.length);
  return isSameWord(seenText(link), last) && areSame(text, before.trimEnd());
}

/** Compares word by word; what is between the words must be the same. */
function areSame(text: string, seen: string): boolean {
  const words = text.split(/(\s+)/);
  const seenWords = seen.split(/(\s+)/);
  return (
    words.length === seenWords.length && words.every((word, at) => isSameWord(word, seenWords[at] ?? ''))
  );
}

const SHORT_LINK = /(?:https?:\/\/)?lnkd\.in\/[\w-]+/;

/** With its scheme, or beginning with a domain: LinkedIn makes links of both. */
const LINK = /^(?:https?:\/\/\S+|[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,}(?:[:/?#]\S*)?)$/u;

/** Whether a word is shown as itself, or with LinkedIn's short links where it has links. */
function isSameWord(word: string, seen: string): boolean {
  if (word === seen) return true;
  const [first = '', ...rest] = seen.split(SHORT_LINK);
  const last = rest.pop();
  if (last === undefined || !word.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const next = word.indexOf(part, at + 1);
    if (next === -1 || !LINK.test(word.slice(at, next))) return false;
    at = next + part.length;
  }
  return word.endsWith(last) && LINK.test(word.slice(at, word.length - last.length));
}
