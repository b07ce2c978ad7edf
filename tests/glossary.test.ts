/**
 * The words of the project: those that were given up are used nowhere, and those that are used are
 * explained.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

/** Each with the word that stands for it. */
const GIVEN_UP: ReadonlyArray<readonly [old: RegExp, word: string]> = [
  [/\bread-?backs?\b/i, 'reconcile'],
  [
    /\b(Sought|Parting|toldBy|prepareOrRefuse|endInOrder|neededBesides|createSlots)\b/,
    'see docs/glossary.md',
  ],
  [/\bgone on with\b/, 'resumed'],
  [/\bstrangers\b/, 'unauthenticated'],
  [/\bread anew\b/i, 'updated'],
  [/core\/operations/, 'core/admin'],
  [/\b(storm|berth|fleet|commotion)s?\b/i, 'fault phase, place, cluster, workload'],
  [/\b(chronicle|tellStories|\w*Story)\b/, 'simulation, trace'],
  [/\bwitness(es)?\b|\bbroken[ -]promises?\b|\bBrokenPromise\b/i, 'invariant, violation'],
  [/\bsabotaged?s?\b/i, 'mutation'],
];

/** Decisions are as they were written; SQL gets its names with its own layout. */
const FILES = execFileSync('git', ['ls-files', '*.ts', '*.tsx', '*.md', '*.yml'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file !== '' && !file.startsWith('docs/decisions/') && file !== 'tests/glossary.test.ts');

describe('words that were given up', () => {
  it.each(GIVEN_UP)('%s, for %s', (old) => {
    expect(FILES.length).toBeGreaterThan(500);
    const found = FILES.flatMap((file) =>
      read(file)
        .split('\n')
        .flatMap((line, at) =>
          old.test(line.replaceAll(/\S*read_backs?\S*|\S*\/\S*read-backs\S*/g, ''))
            ? [`${file}:${at + 1}: ${line.trim()}`]
            : [],
        ),
    );
    expect(found).toEqual([]);
  });
});

it('the glossary has each of its words once', () => {
  const words = [...read('docs/glossary.md').matchAll(/\*\*([^*]+)\*\*/g)].map(([, word]) => word);
  expect(words.length).toBeGreaterThan(40);
  expect(words.filter((word, at) => words.indexOf(word) !== at)).toEqual([]);
});
