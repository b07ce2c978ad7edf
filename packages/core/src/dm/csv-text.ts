/**
 * A CSV file's bytes as text: in what the byte order mark says, in UTF-16 if every other byte is 0,
 * and else in UTF-8.
 */
import { fileProblem } from './csv-problem.ts';

export interface CsvText {
  /** Without a byte order mark, its lines ended by `\n`. What could not be read has become U+FFFD. */
  readonly text: string;
  /** Whether it was UTF-16, which Excel writes with tabs. */
  readonly isUtf16: boolean;
}

/** Files that are no text, by how they begin. */
const NO_TEXT: ReadonlyArray<{ readonly begins: readonly number[]; readonly problem: string }> = [
  {
    begins: [0x50, 0x4b, 0x03, 0x04],
    problem: 'the file is an Excel workbook: save it as CSV UTF-8',
  },
  {
    begins: [0xd0, 0xcf, 0x11, 0xe0],
    problem: 'the file is an Excel workbook: save it as CSV UTF-8',
  },
  { begins: [0xff, 0xfe, 0x00, 0x00], problem: 'the file is UTF-32: save it as UTF-8' },
  { begins: [0x00, 0x00, 0xfe, 0xff], problem: 'the file is UTF-32: save it as UTF-8' },
];

/** @throws {CsvImportError} for bytes that are no text */
export function readCsvText(content: string | Uint8Array): CsvText {
  if (typeof content === 'string') return { text: plainText(content), isUtf16: false };
  const noText = NO_TEXT.find(({ begins }) => begins.every((byte, at) => content[at] === byte));
  if (noText !== undefined) throw fileProblem(noText.problem);
  const encoding = encodingOf(content);
  if (encoding !== 'utf-8' && content.length % 2 === 1) {
    throw fileProblem('the file breaks off in the middle of a character: save it again');
  }
  const text = new TextDecoder(encoding, { ignoreBOM: true }).decode(content);
  return { text: plainText(text), isUtf16: encoding !== 'utf-8' };
}

/** The header is of ASCII: without a mark, its first two characters tell UTF-16 by their zeros. */
function encodingOf([a, b, c, d]: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (a === 0xff && b === 0xfe) return 'utf-16le';
  if (a === 0xfe && b === 0xff) return 'utf-16be';
  if (b === 0 && d === 0 && a !== 0 && c !== 0) return 'utf-16le';
  if (a === 0 && c === 0 && b !== 0 && d !== 0) return 'utf-16be';
  return 'utf-8';
}

/** Programs that write `\r\n` where `\r\n` stands already end a line by `\r\r\n`. */
const plainText = (text: string): string => text.replace(/^\ufeff+/, '').replace(/\r*\n|\r/g, '\n');
