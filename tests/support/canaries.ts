/**
 * Canaries: values that must not come out, looked for in every form that they may come out in.
 *
 * What is looked for of a value is its middle: an output that quotes the most of it has leaked it,
 * whatever it cut off.
 */

export interface Canary {
  /** What a report calls it. */
  readonly name: string;
  readonly value: string;
}

/** Something that came out, and where. */
export interface Output {
  readonly where: string;
  readonly text: string;
}

/** Shorter values would be found by chance. */
const VALUE_LENGTH_MIN = 12;

/** The part of `value` that is looked for: all but a fifth at each end. */
function middleOf(value: string): string {
  const cut = Math.floor(value.length / 5);
  return value.slice(cut, value.length - cut);
}

/** Base64 writes three bytes as four characters: the same text looks different at each of three offsets. */
function base64Of(value: string): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.from(' '.repeat(offset) + value)
      .toString('base64')
      .replace(/=+$/, '');
    // The first and the last group depend on what stands beside the value.
    const inner = encoded.slice(offset === 0 ? 0 : 4, -4);
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

const FORMS: Readonly<Record<string, (value: string) => readonly string[]>> = {
  'as it is': (value) => [value],
  'as JSON': (value) => [JSON.stringify(value).slice(1, -1)],
  'as JSON within JSON': (value) => [JSON.stringify(JSON.stringify(value)).slice(3, -3)],
  'in a URL': (value) => [
    encodeURIComponent(value),
    encodeURIComponent(value).toLowerCase(),
    new URLSearchParams([['', value]]).toString().slice(1),
  ],
  'in HTML': (value) => [
    value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;'),
  ],
  'in base64': base64Of,
  'in hex': (value) => [Buffer.from(value).toString('hex'), Buffer.from(value).toString('hex').toUpperCase()],
};

/** Every canary found in an output, as `<name>, <form>: <where>`. Empty where nothing leaked. */
export function leaksIn(outputs: readonly Output[], canaries: readonly Canary[]): string[] {
  const sought = canaries.flatMap(({ name, value }) => {
    if (value.length < VALUE_LENGTH_MIN) throw new RangeError(`${name} is too short to be looked for`);
    // Each form once, under its first name: many a value looks the same in most of them.
    const labels = new Map<string, string>();
    for (const [form, encode] of Object.entries(FORMS)) {
      for (const text of encode(middleOf(value))) {
        if (!labels.has(text)) labels.set(text, `${name}, ${form}`);
      }
    }
    return [...labels].map(([text, label]) => ({ label, text }));
  });
  const found = outputs.flatMap(({ where, text }) =>
    sought.filter((canary) => text.includes(canary.text)).map(({ label }) => `${label}: ${where}`),
  );
  return [...new Set(found)];
}
