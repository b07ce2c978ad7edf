/** Every class that the pages name has a rule: renamed on one side alone, it would leave a page unstyled. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const SOURCES = path.resolve(import.meta.dirname, '../src');
const read = (file: string): string => readFileSync(path.join(SOURCES, file), 'utf8');

it('each class of the pages stands in the style sheet', () => {
  const styles = read('app/globals.css');
  const named = globSync('**/*.tsx', { cwd: SOURCES }).flatMap((file) =>
    [...read(file).matchAll(/className="([^"]*)"/g)].flatMap(([, names = '']) => names.split(' ')),
  );
  expect(named.length).toBeGreaterThan(20);
  const without = named.filter((name) => !new RegExp(`\\.${name}(?![\\w-])`).test(styles));
  expect([...new Set(without)]).toEqual([]);
});
