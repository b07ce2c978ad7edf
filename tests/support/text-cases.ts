/** Texts, and what is wrong with them: one list, for messages and posts, by whichever way they come in. */

export type TextRule = 'empty' | 'too_long' | 'placeholder' | 'unreadable';

const shown = (code: number): string => `U+${code.toString(16).toUpperCase().padStart(4, '0')}`;

/**
 * Code points that show nothing: spaces, controls, format characters, fillers, selectors, tags, and
 * marks without a base.
 */
export const BLANKS = [
  0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0x01, 0x1f, 0x7f, 0x85, 0xa0, 0xad, 0x301, 0x34f, 0x61c, 0x903, 0x115f,
  0x1160, 0x1680, 0x17b4, 0x17b5, 0x180b, 0x180e, 0x180f, 0x2000, 0x2009, 0x200b, 0x200c, 0x200d, 0x200e,
  0x2028, 0x2029, 0x202e, 0x202f, 0x205f, 0x2060, 0x2064, 0x2069, 0x206f, 0x20dd, 0x2800, 0x3000, 0x3164,
  0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xfff9, 0x1bca0, 0x1d159, 0x1d173, 0xe0001, 0xe0020, 0xe0100,
].map((code) => ({ name: shown(code), text: String.fromCodePoint(code) }));

/** Texts that show something, however little. */
export const SHOWN = ['.', '👋', '❤️', '字', 'é', 'e\u0301', '\u200ba', '-', '١', '\u0601', 'ก', '🇫', '1️⃣'];

/** Marks of templates that were not filled in, and what templates leave where they had nothing. */
export const UNFILLED = [
  'Hi {{first_name}}',
  'Hi {{first_name',
  'Hi name}}',
  'Hi {first_name}, I saw',
  'Hi {firstName}',
  'Hi { First Name }',
  'Hi {first_name|there}',
  'Hi {contact.firstName}',
  'Hi {$first_name}',
  'at {company}',
  'from {lead_source}',
  'Hi {!Contact.FirstName}',
  'Hi [First Name]',
  'Hi [[first_name]]',
  'Hi [Your Name]',
  'as [job title]',
  'at [Company]',
  'Hi [Prénom]',
  'Hi {Vorname}',
  'Hi %FIRST_NAME%',
  'Hi %%first_name%%',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: that is what a template left.
  'Hi ${firstName}',
  'Hi #{name}',
  'Hi #first_name#',
  'Hi <<first_name>>',
  'Hi <First Name>',
  'Hi <%= first_name %>',
  'Hi «First_Name»',
  'Hi *|FNAME|*',
  'Hi |first_name|',
  'Hi __FIRST_NAME__',
  'Hi {% first_name %}',
  'Hi $contact_first_name, I saw',
  'Hi $first_name I saw',
  'Hi $name, I saw',
  'Hi undefined,',
  'Hi undefined I saw',
  'Hi null,',
  'Hello NULL!',
  'Hi (null),',
  'Hi NaN,',
  'Hi None,',
  'Hi n/a,',
  'Hi [object Object],',
  'Hi {},',
  'Hi ,',
  'Dear  , I saw',
  'Hi\u00a0,',
  'Hi\u200b ,',
  'Dear Mr. ,',
  'Bonjour ,',
  'Well done.\nHi , I saw',
  'Thanks undefined',
  'your work at undefined.',
  'your work at , and',
  'Hi #N/A',
  'a raise of #REF!',
];

/** Ordinary texts with brackets, percent signs and words that only look like it. */
export const FILLED = [
  'Hi Ada, look here: [link]',
  '100 %',
  '50% off, and 20% more',
  '50%-60% of {all} teams',
  '{json: 1}',
  '{"name": 1}',
  'f(x) = {x | x > 0}',
  'a {b} c',
  'Hello {link}',
  'https://revos.test/%E2%82%AC?q=%20name%20',
  '[1] and [2], [sic], [x], [video]',
  'arr[0] is the first',
  '<3 you',
  'a <- b',
  '$AAPL, $CITY and $5',
  'C# and F#, #hiring #name',
  '| a | b |',
  '«Bonjour»',
  '<<Bonjour>>',
  '**bold**, snake_case_name',
  'null hypothesis, undefined behaviour, none of us',
  'set it to null.',
  'Hi Nullah, hi Nan-Xin',
  'Hi Nan-Xin',
  'Hi Ada,',
  'Hi, Ada',
  'Hi!',
  'Bonjour !',
  'I only want to say hi , he said',
  'la mia cara , disse',
  'see you at .NET conf, at 5',
];
