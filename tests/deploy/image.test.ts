/**
 * The Dockerfile and .dockerignore, held against the rest of the repository. tests/acceptance
 * carries them out.
 */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DockerfileParser } from 'dockerfile-ast';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { BUNDLES } from '../../scripts/build.ts';
import { readIgnore } from '../support/image.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const dockerfile = DockerfileParser.parse(read('Dockerfile'));
const ofKind = (keyword: string): string[] =>
  dockerfile
    .getInstructions()
    .filter((instruction) => instruction.getKeyword() === keyword)
    .map((instruction) => instruction.getArgumentsContent() ?? '');

describe('the Dockerfile', () => {
  it('is from the Node.js that the project runs on, by its version', () => {
    const images = dockerfile.getFROMs().map((from) => from.getImage());
    expect(new Set(images)).toEqual(new Set([`node:${read('.node-version').trim()}-bookworm-slim`]));
  });

  it('installs and builds as render.yaml does', () => {
    const [{ buildCommand }] = parse(read('render.yaml')).services;
    expect(ofKind('RUN').join(' && ')).toBe(buildCommand.trim().replace(/ && rm -rf node_modules .*$/, ''));
  });

  it('starts what render.yaml starts, without a shell before it', () => {
    const [{ startCommand }] = parse(read('render.yaml')).services;
    const words = [...ofKind('ENTRYPOINT'), ...ofKind('CMD')].flatMap((text) => JSON.parse(text) as string[]);
    expect(words.join(' ').replace('dist/', 'apps/jobs-api/dist/')).toBe(startCommand);
  });

  it('runs as another user than root, and asks for the health that is answered', () => {
    expect(ofKind('USER')).toEqual(['node']);
    expect(ofKind('HEALTHCHECK')).toEqual([expect.stringContaining('/health`')]);
    expect(read('apps/jobs-api/src/routes/health.ts')).toContain("'/health'");
  });
});

describe('.dockerignore', () => {
  it('lets through what is there, and no secret, test or package', () => {
    const { paths, never } = readIgnore(read('.dockerignore'));
    for (const file of paths) expect(existsSync(path.join(ROOT, file)), file).toBe(true);
    expect(never).toContain('node_modules');
    expect(paths.filter((file) => /(^|\/)(\.env|\.git|test|tests|dist)/.test(file))).toEqual([]);
  });

  it.each(['!packages/*', 'docs', '**', '!../outside?'])(
    'a line that is not known is refused: %s',
    (line) => {
      expect(() => readIgnore(`*\n${line}\n`)).toThrow('not known here');
    },
  );
});

it('what is built has its sources where the build looks for them', () => {
  for (const { app, entries } of BUNDLES) {
    for (const source of Object.values(entries)) expect(existsSync(path.join(ROOT, app, source))).toBe(true);
  }
});
