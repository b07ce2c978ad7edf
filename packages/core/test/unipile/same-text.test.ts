import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isSameText, type SentText } from '../../src/unipile/same-text.ts';

const ADA = [{ name: 'Ada Lovelace' }];
const TWO = [{ name: 'Ada' }, { name: 'Acme GmbH' }];
const LINK = 'https://example.com/report?a=1&b=2';

const flagOf = (region: string): string =>
  `🏴${[...region].map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0))).join('')}\u{e007f}`;
const FLAG_OF_ENGLAND = flagOf('gbeng');
const FLAG_OF_SCOTLAND = flagOf('gbsct');

/** What a reader sees as the same, or what LinkedIn and Unipile are known to put in. */
const SAME: ReadonlyArray<{ name: string; sent: SentText; shown: string }> = [
  { name: 'itself', sent: { text: 'Hi Ada' }, shown: 'Hi Ada' },
  { name: 'other line ends', sent: { text: 'Hi\n\nAda' }, shown: 'Hi\r\n\r\nAda' },
  { name: 'old line ends', sent: { text: 'Hi\nAda' }, shown: 'Hi\rAda' },
  { name: 'a line separator', sent: { text: 'Hi\nAda' }, shown: 'Hi\u2028Ada' },
  { name: 'white space around it', sent: { text: '  Hi Ada\n' }, shown: 'Hi Ada' },
  { name: 'white space put around it', sent: { text: 'Hi Ada' }, shown: '\n Hi Ada\u00a0' },
  { name: 'a no-break space', sent: { text: 'Hi Ada' }, shown: 'Hi\u00a0Ada' },
  {
    name: 'a thin, an ideographic and a narrow space',
    sent: { text: 'a b c d' },
    shown: 'a\u2009b\u3000c\u202fd',
  },
  { name: 'a tab', sent: { text: 'Hi\tAda' }, shown: 'Hi Ada' },
  { name: 'characters of no width', sent: { text: 'Hi Ada' }, shown: '\ufeffHi\u200b A\u2060d\u00ada\u200e' },
  { name: 'composed letters', sent: { text: 'Gru\u0308\u00dfe e\u0301' }, shown: 'Gr\u00fc\u00dfe \u00e9' },
  { name: 'no width between a letter and its accent', sent: { text: 'e\u200b\u0301' }, shown: '\u00e9' },
  { name: 'a mention’s name', sent: { text: 'Thanks {{0}}!', mentions: ADA }, shown: 'Thanks Ada Lovelace!' },
  { name: 'two mentions', sent: { text: '{{1}}, {{0}} {{0}}', mentions: TWO }, shown: 'Acme GmbH, Ada Ada' },
  {
    name: 'a mention’s mark as it was',
    sent: { text: 'Thanks {{0}}!', mentions: ADA },
    shown: 'Thanks {{0}}!',
  },
  { name: 'a mark that stands for nobody', sent: { text: 'Use {{7}}', mentions: ADA }, shown: 'Use {{7}}' },
  {
    name: 'the link on a line of its own',
    sent: { text: 'Read', externalLink: LINK },
    shown: `Read\n${LINK}`,
  },
  {
    name: 'the link behind a blank line',
    sent: { text: 'Read', externalLink: LINK },
    shown: `Read\r\n\r\n${LINK}`,
  },
  { name: 'the link behind a space', sent: { text: 'Read', externalLink: LINK }, shown: `Read ${LINK}` },
  {
    name: 'the link shortened',
    sent: { text: 'Read', externalLink: LINK },
    shown: 'Read\nhttps://lnkd.in/eAb-C_9',
  },
  { name: 'no link, though there is one', sent: { text: 'Read', externalLink: LINK }, shown: 'Read' },
  {
    name: 'the link where it already was',
    sent: { text: `Read ${LINK} now`, externalLink: LINK },
    shown: `Read ${LINK} now`,
  },
  { name: 'a short link for a link', sent: { text: `See ${LINK}` }, shown: 'See https://lnkd.in/eAbC9' },
  { name: 'a short link without its scheme', sent: { text: `See ${LINK}` }, shown: 'See lnkd.in/eAbC9' },
  {
    name: 'a short link at the end of a sentence',
    sent: { text: `See ${LINK}.` },
    shown: 'See https://lnkd.in/e.',
  },
  { name: 'a short link in brackets', sent: { text: `(${LINK})` }, shown: '(https://lnkd.in/e)' },
  {
    name: 'a short link for a bare domain',
    sent: { text: 'See www.example.com/a' },
    shown: 'See https://lnkd.in/e',
  },
  {
    name: 'several short links',
    sent: { text: `${LINK}\nand https://example.org, example.net!` },
    shown: 'https://lnkd.in/a\nand https://lnkd.in/b, https://lnkd.in/c!',
  },
  {
    name: 'two short links in one word',
    sent: { text: 'https://a.example|https://b.example' },
    shown: 'https://lnkd.in/a|https://lnkd.in/b',
  },
  {
    name: 'one link shortened and one not',
    sent: { text: `${LINK} ${LINK}` },
    shown: `${LINK} https://lnkd.in/b`,
  },
  {
    name: 'all of it together',
    sent: { text: 'Thanks {{0}}\nSee https://example.org/long', mentions: ADA, externalLink: LINK },
    shown: '\u200bThanks Ada\u00a0Lovelace\r\nSee https://lnkd.in/a\r\n\r\nhttps://lnkd.in/b ',
  },
  { name: 'emoji', sent: { text: '👩‍👩‍👧 👋🏽' }, shown: '👩‍👩‍👧 👋🏽' },
  { name: 'blank lines made one', sent: { text: 'A.\n\n\nB.' }, shown: 'A.\n\nB.' },
  { name: 'blank lines taken out', sent: { text: 'A.\r\n\r\nB.' }, shown: 'A.\nB.' },
  { name: 'blank lines that are not empty', sent: { text: 'A.\n \u00a0\n\t\nB.' }, shown: 'A.\n\nB.' },
  { name: 'spaces at the ends of lines', sent: { text: 'A. \n  B.' }, shown: 'A.\nB.' },
  { name: 'more space between words', sent: { text: 'Hi   Ada' }, shown: 'Hi Ada' },
  { name: 'spaces of several kinds in a row', sent: { text: 'Hi \u00a0\u2003\tAda' }, shown: 'Hi Ada' },
  { name: 'spaces with nothing between', sent: { text: 'Hi \u200b \ufeff Ada' }, shown: 'Hi Ada' },
  { name: 'fillers, which show as spaces', sent: { text: 'Hi\u3164\u2800\uffa0Ada' }, shown: 'Hi Ada' },
  { name: 'an emoji without its selector', sent: { text: 'I ❤\ufe0f it' }, shown: 'I ❤ it' },
  { name: 'a selector put in', sent: { text: 'Hi ☺' }, shown: 'Hi ☺\ufe0e' },
  { name: 'a selector of ideographs', sent: { text: '葛\u{e0100}城' }, shown: '葛城' },
  { name: 'a selector of Mongolian', sent: { text: 'ᠠ\u180b' }, shown: 'ᠠ' },
  { name: 'joiners', sent: { text: 'می\u200cخواهم' }, shown: 'میخواهم' },
  { name: 'emoji without their joiner', sent: { text: '👩\u200d💻' }, shown: '👩💻' },
  { name: 'a joiner of graphemes', sent: { text: 'e\u034f\u0301' }, shown: 'é' },
  { name: 'tags that stand for no flag', sent: { text: 'Hi\u{e0041}\u{e0001} Ada' }, shown: 'Hi Ada' },
  { name: 'controls, which show nothing', sent: { text: 'H\u0001i\u007f\u0080 Ada' }, shown: 'Hi Ada' },
  { name: 'a thousand with another space', sent: { text: '1\u202f000' }, shown: '1 000' },
  {
    name: 'a mention with two spaces',
    sent: { text: '{{0}}!', mentions: [{ name: 'Ada  L' }] },
    shown: 'Ada L!',
  },
  { name: 'the flag of England', sent: { text: FLAG_OF_ENGLAND }, shown: FLAG_OF_ENGLAND },
  { name: 'half of an emoji', sent: { text: 'a\ud83d' }, shown: 'a\ud83d' },
];

const DIFFERENT: ReadonlyArray<{ name: string; sent: SentText; shown: string }> = [
  { name: 'a text that begins with it', sent: { text: 'Hi' }, shown: 'Hi Bob' },
  { name: 'a text that ends with it', sent: { text: 'Bob' }, shown: 'Hi Bob' },
  { name: 'its beginning', sent: { text: 'Hi Bob' }, shown: 'Hi' },
  { name: 'nothing', sent: { text: 'Hi' }, shown: '' },
  { name: 'other letters', sent: { text: 'Hi Ada' }, shown: 'Hi Ava' },
  { name: 'other capitals', sent: { text: 'Hi Ada' }, shown: 'hi ada' },
  { name: 'another accent', sent: { text: 'e\u0301' }, shown: 'e' },
  { name: 'a compatible letter', sent: { text: '\ufb01ne' }, shown: 'fine' },
  { name: 'other punctuation', sent: { text: 'Hi Ada!' }, shown: 'Hi Ada' },
  { name: 'a line end for a space', sent: { text: 'Hi Ada' }, shown: 'Hi\nAda' },
  { name: 'a blank line for a space', sent: { text: 'Hi Ada' }, shown: 'Hi\n\nAda' },
  { name: 'no space between words', sent: { text: 'Hi Ada' }, shown: 'HiAda' },
  { name: 'no space between letters', sent: { text: 'A B' }, shown: 'AB' },
  { name: 'no line end between letters', sent: { text: 'A\n\nB' }, shown: 'AB' },
  { name: 'no space in a thousand', sent: { text: '1 000' }, shown: '1000' },
  { name: 'no thin space in a thousand', sent: { text: '1\u2009000' }, shown: '1000' },
  { name: 'no filler between letters', sent: { text: 'A\u3164B' }, shown: 'AB' },
  { name: 'a selector alone, for nothing', sent: { text: '\ufe0f' }, shown: '' },
  { name: 'the flag of another country', sent: { text: FLAG_OF_ENGLAND }, shown: FLAG_OF_SCOTLAND },
  { name: 'a flag without its country', sent: { text: FLAG_OF_ENGLAND }, shown: '🏴' },
  { name: 'another keycap', sent: { text: '1\ufe0f\u20e3' }, shown: '2\ufe0f\u20e3' },
  { name: 'a keycap for a digit', sent: { text: '1\ufe0f\u20e3' }, shown: '1' },
  { name: 'another emoji', sent: { text: '👋🏽' }, shown: '👋🏿' },
  { name: 'another mention', sent: { text: 'Thanks {{0}}', mentions: ADA }, shown: 'Thanks Grace' },
  { name: 'mentions in another order', sent: { text: '{{0}} {{1}}', mentions: TWO }, shown: 'Acme GmbH Ada' },
  {
    name: 'a name put in without a mark',
    sent: { text: 'Thanks', mentions: ADA },
    shown: 'Thanks Ada Lovelace',
  },
  { name: 'a link that nobody gave', sent: { text: 'Read' }, shown: `Read\n${LINK}` },
  { name: 'a short link that nobody gave', sent: { text: 'Read' }, shown: 'Read https://lnkd.in/e' },
  {
    name: 'another link at the end',
    sent: { text: 'Read', externalLink: LINK },
    shown: 'Read\nhttps://example.org',
  },
  {
    name: 'more than the link at the end',
    sent: { text: 'Read', externalLink: LINK },
    shown: `Read now\n${LINK}`,
  },
  {
    name: 'something behind the link',
    sent: { text: 'Read', externalLink: LINK },
    shown: `Read\n${LINK} now`,
  },
  { name: 'the link twice', sent: { text: 'Read', externalLink: LINK }, shown: `Read\n${LINK}\n${LINK}` },
  {
    name: 'the link without a space before',
    sent: { text: 'Read', externalLink: LINK },
    shown: `Read${LINK}`,
  },
  { name: 'only the link', sent: { text: 'Read', externalLink: LINK }, shown: LINK },
  { name: 'another link inside', sent: { text: `See ${LINK} now` }, shown: 'See https://example.org now' },
  {
    name: 'a short link for a word beside a link',
    sent: { text: 'a|https://b.example' },
    shown: 'https://lnkd.in/a|https://lnkd.in/b',
  },
  { name: 'a short link for a word', sent: { text: 'See this' }, shown: 'See https://lnkd.in/e' },
  {
    name: 'a short link for no link, with its dot',
    sent: { text: 'See it.' },
    shown: 'See https://lnkd.in/e.',
  },
  {
    name: 'a short link for a link and a word',
    sent: { text: `See ${LINK} now` },
    shown: 'See https://lnkd.in/e',
  },
  { name: 'a link for a short link', sent: { text: 'See https://lnkd.in/e' }, shown: `See ${LINK}` },
  { name: 'other words around a short link', sent: { text: `A ${LINK}` }, shown: 'B https://lnkd.in/e' },
  { name: 'other brackets around a short link', sent: { text: `(${LINK})` }, shown: '[https://lnkd.in/e]' },
  { name: 'nothing to see, for nothing', sent: { text: '\u200b ' }, shown: '' },
  { name: 'nothing sent, for the link', sent: { text: '', externalLink: LINK }, shown: LINK },
];

describe('isSameText', () => {
  it.each(SAME)('takes $name', ({ sent, shown }) => {
    expect(isSameText(sent, shown)).toBe(true);
  });

  it.each(DIFFERENT)('does not take $name', ({ sent, shown }) => {
    expect(isSameText(sent, shown)).toBe(false);
  });
});

/** Words that are no links and have no marks in them. */
const word = fc.stringMatching(/^[a-zäöüß0-9,!?'-]{1,12}$/);
const words = fc.array(word, { minLength: 1, maxLength: 12 });
const space = fc.constantFrom(' ', '\u00a0', '\u2009', '\u3000', '\t', '  ', ' \u00a0 ');
const lineEnd = fc.constantFrom('\n', '\r\n', '\r', '\u2028', '\n\n', ' \r\n \r\n');
const unseen = fc.constantFrom('', '\u200b', '\u2060', '\ufeff', '\u00ad', '\u200d', '\ufe0f', '\u{e0100}');
const around = fc.constantFrom('', ' ', '\n', '\r\n ', '\u00a0');

describe('isSameText, over many texts', () => {
  it('any text with something to see is the same as itself', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), word, (text, seen) => {
        expect(isSameText({ text: text + seen }, text + seen)).toBe(true);
      }),
    );
  });

  it('a text is the same in any form, any spaces, any line ends', () => {
    const disguise = fc.record({
      space,
      lineEnd,
      unseen,
      before: around,
      after: around,
      form: fc.constantFrom('NFC', 'NFD'),
    });
    fc.assert(
      fc.property(fc.array(words, { minLength: 1, maxLength: 4 }), disguise, (lines, how) => {
        const text = lines.map((line) => line.join(' ')).join('\n');
        const inside = lines
          .map((line) => line.map((each) => each + how.unseen).join(how.space))
          .join(how.lineEnd);
        expect(isSameText({ text }, how.before + inside.normalize(how.form) + how.after)).toBe(true);
      }),
    );
  });

  it('a text with a word more, less or changed is another', () => {
    fc.assert(
      fc.property(
        words,
        word,
        fc.nat(),
        fc.constantFrom('add', 'remove', 'change'),
        (line, other, place, how) => {
          const at = place % line.length;
          const changed = line.toSpliced(at, how === 'add' ? 0 : 1, ...(how === 'remove' ? [] : [other]));
          fc.pre(changed.join(' ') !== line.join(' '));
          const sent = { text: line.join(' '), externalLink: LINK };
          expect(isSameText(sent, changed.join(' '))).toBe(false);
          expect(isSameText(sent, `${changed.join(' ')}\n${LINK}`)).toBe(false);
        },
      ),
    );
  });

  it('every link may be shortened, and no word may', () => {
    const url = fc.webUrl({ withQueryParameters: true, withFragments: true });
    fc.assert(
      fc.property(fc.array(fc.oneof(word, url), { minLength: 1, maxLength: 8 }), (parts) => {
        const isUrl = (part: string): boolean => part.startsWith('http');
        const text = parts.join(' ');
        const shortened = parts.map((part) => (isUrl(part) ? 'https://lnkd.in/eX' : part)).join(' ');
        expect(isSameText({ text }, shortened)).toBe(true);
        const index = parts.findIndex((part) => !isUrl(part));
        fc.pre(index !== -1);
        expect(isSameText({ text }, parts.with(index, 'https://lnkd.in/eX').join(' '))).toBe(false);
      }),
    );
  });

  it('takes a moment, whatever it is given', () => {
    const hard = [
      'https://lnkd.in/a,'.repeat(400),
      ' '.repeat(8_000),
      `${'https://a.example,'.repeat(400)}x`,
      'a.'.repeat(4_000),
    ];
    const startedAt = performance.now();
    for (const sent of hard) {
      for (const shown of hard) isSameText({ text: `x ${sent}`, externalLink: sent }, shown);
    }
    // Some milliseconds; a pattern that goes back and forth would take minutes.
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});
