/** What the architecture stands on, held by a test. The rest is taste. */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { REASONS } from '@revos/core/sending';
import { describe, expect, it } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const files = (pattern: string): string[] =>
  globSync(pattern, { cwd: ROOT, exclude: (name) => name === 'node_modules' || name === '.next' }).sort();

const CORE = 'packages/core/src/';

/** A level imports only lower ones, and features never import each other. */
const LEVELS: Readonly<Record<string, number>> = {
  effects: 0,
  config: 0,
  json: 0,
  shapes: 0,
  telemetry: 1,
  signing: 1,
  rpc: 1,
  unipile: 1,
  media: 1,
  jobs: 2,
  sending: 3,
  dm: 4,
  posts: 4,
  analytics: 4,
  admin: 4,
  verdict: 4,
  'registry.ts': 5,
  alerts: 5,
};

const partOf = (file: string): string => file.slice(CORE.length).split('/')[0] ?? '';

/** The code without its comments and strings, which may speak of anything. */
const codeOf = (file: string): string =>
  read(file)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/\/\/.*$/gm, '')
    .replace(/'(?:[^'\\\n]|\\.)*'/g, "''");

/** The files of the core that `file` imports. */
function importsOf(file: string): string[] {
  return [...read(file).matchAll(/(?:from|import)\s*\(?'(\.[^']+)'/g)].map((match) =>
    path.posix.normalize(path.posix.join(path.posix.dirname(file), match[1] ?? '')),
  );
}

/** A file's imports that are there when it runs: types are not. */
function runtimeImportsOf(file: string): string[] {
  const source = read(file)
    .replace(/import type [\s\S]*?;/g, '')
    .replace(/export type \{[\s\S]*?\} from '[^']+';/g, '');
  return [...source.matchAll(/^(?:import|export)[^;]*?from '(\.[^']+)'/gm)].map((match) =>
    path.posix.normalize(path.posix.join(path.posix.dirname(file), match[1] ?? '')),
  );
}

const coreFiles = files(`${CORE}**/*.ts`);

describe('the core’s levels', () => {
  it('every part has a level', () => {
    expect([...new Set(coreFiles.map(partOf))].filter((part) => LEVELS[part] === undefined)).toEqual([]);
  });

  it('a level imports only lower ones, and features never import each other', () => {
    const wrong = coreFiles.flatMap((file) =>
      importsOf(file)
        .filter((imported) => {
          const [from, to] = [partOf(file), partOf(imported)];
          return from !== to && (LEVELS[from] ?? 0) <= (LEVELS[to] ?? 99);
        })
        .map((imported) => `${file} → ${imported}`),
    );
    expect(wrong).toEqual([]);
  });

  it('no imports go round in a circle, of types or of values', () => {
    const circles: string[] = [];
    const done = new Set<string>();
    const walk = (file: string, trail: readonly string[]): void => {
      if (trail.includes(file)) circles.push([...trail.slice(trail.indexOf(file)), file].join(' → '));
      if (trail.includes(file) || done.has(file)) return;
      for (const next of importsOf(file)) walk(next, [...trail, file]);
      done.add(file);
    };
    const sources = files('{packages,apps}/*/src/**/*.{ts,tsx}');
    expect(sources.length).toBeGreaterThan(300);
    for (const file of sources) walk(file, []);
    expect(circles).toEqual([]);
  });

  it('who needs no Redis loads none of it: cron routes, and processes that work alone', () => {
    const reached = new Set<string>();
    const walk = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const next of runtimeImportsOf(file)) walk(next);
    };
    for (const file of ['jobs/index.ts', 'registry.ts']) walk(CORE + file);
    expect(reached.has(`${CORE}jobs/engines/in-process.ts`)).toBe(true);
    const wrong = [...reached].filter((file) => /from '(?:bullmq|ioredis)'/.test(read(file)));
    expect(wrong).toEqual([]);
  });

  it('imports no framework', () => {
    const dependencies = Object.keys(JSON.parse(read('packages/core/package.json')).dependencies);
    expect(dependencies.filter((name) => /fastify|next|react|express/.test(name))).toEqual([]);
  });

  it('the sandbox imports nothing of ours', () => {
    const wrong = files('packages/unipile-sandbox/src/**/*.ts').filter((file) =>
      /@revos\//.test(codeOf(file)),
    );
    expect(wrong).toEqual([]);
  });
});

describe('effects', () => {
  it('the clock, timers and chance of the core are only in effects/real.ts', () => {
    const pattern =
      /Date\.now\(|new Date\(\)|Math\.random\(|\bset(?:Timeout|Interval)\(|AbortSignal\.timeout\(|randomUUID\(/;
    const wrong = coreFiles.filter((file) => file !== `${CORE}effects/real.ts` && pattern.test(codeOf(file)));
    expect(wrong).toEqual([]);
  });

  it('the environment is read only in files called env.ts', () => {
    const sources = files('{apps,packages}/*/src/**/*.{ts,tsx}').filter(
      (file) => path.basename(file) !== 'env.ts',
    );
    expect(sources.length).toBeGreaterThan(50);
    // There, and only there, Next.js puts the runtime's name in its place as it compiles.
    const code = (file: string) =>
      file === 'apps/web/src/instrumentation.ts'
        ? codeOf(file).replace(/process\.env\.NEXT_RUNTIME\b/g, '')
        : codeOf(file);
    expect(sources.filter((file) => /process\.env\b/.test(code(file)))).toEqual([]);
  });
});

describe('lists', () => {
  it('none is spread into the arguments of a call: a long one has more than a call may have', () => {
    const sources = files('{apps,packages}/*/src/**/*.{ts,tsx}');
    const pattern =
      /(?:\.(?:push|unshift|concat|splice|apply)|Math\.(?:max|min)|fromCharCode|fromCodePoint)\((?:[^(){}]|\([^()]*\))*\.\.\./;
    expect(sources.filter((file) => pattern.test(codeOf(file)))).toEqual([]);
  });
});

describe('names and documents', () => {
  it('nothing that is ignored is committed: what is built, or downloaded', () => {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).split('\n');
    expect(git('ls-files').length).toBeGreaterThan(500);
    expect(git('ls-files', '--cached', '--ignored', '--exclude-standard').filter(Boolean)).toEqual([]);
  });

  it('prose ends by 100 columns, comments by 110', () => {
    const tooWide = (file: string, columns: number, isProse: (line: string) => boolean) =>
      read(file)
        .replace(/^ *```[\s\S]*?^ *```/gm, (block) => '\n'.repeat(block.split('\n').length - 1))
        .split('\n')
        .flatMap((line, at) =>
          [...line].length > columns && /\s/.test(line.trim()) && isProse(line) ? [`${file}:${at + 1}`] : [],
        );
    const prose = files('{*.md,.github/*.md,docs/**/*.md,{apps,packages}/*/*.md,monitoring/*.md}');
    const code = files('{apps,packages,scripts,tests}/**/*.{ts,tsx}').filter(
      (file) => file !== 'packages/jobs-client/src/schema.ts' && !file.includes('/dist/'),
    );
    expect([prose.length > 40, code.length > 500]).toEqual([true, true]);
    // Tables, and links that stand alone, cannot be broken.
    const isText = (line: string) => !/^\s*(\||!?\[[^\]]*\]\([^)]*\)$|#)/.test(line);
    const isComment = (line: string) => /^\s*(\/\/ |\* [^|]|\/\*\* )/.test(line);
    expect([
      ...prose.flatMap((file) => tooWide(file, 100, isText)),
      ...code.flatMap((file) => tooWide(file, 110, isComment)),
    ]).toEqual([]);
  });

  it('no folder is a drawer', () => {
    const drawers = files('{apps,packages,tests}/**').filter((name) =>
      /(^|\/)(utils|helpers|common|lib)(\/|$)/.test(name),
    );
    expect(drawers).toEqual([]);
  });

  it('each reason stands in docs/reasons.md, and no other', () => {
    const documented = [...read('docs/reasons.md').matchAll(/^\| `([a-z0-9_]+)`/gm)].map((match) => match[1]);
    expect(documented.sort()).toEqual(Object.keys(REASONS).sort());
  });

  it('each SQLSTATE of ours stands in docs/errors.md, and no other', () => {
    const sql = files('supabase/migrations/*.sql').map(read).join('\n');
    const raised = new Set(
      [...sql.matchAll(/'((?:AC|AN|DM|HI|PO|RN|RS|SE)\d{3})'/g)].map((match) => match[1] ?? ''),
    );
    // What messages and posts share is told whose errors to raise.
    const shared = [...sql.matchAll(/p_errors \|\| '(\d{3})'/g)].map((match) => match[1] ?? '');
    expect(shared.length).toBeGreaterThan(3);
    for (const number of shared) for (const subject of ['DM', 'PO']) raised.add(subject + number);
    const documented = [...read('docs/errors.md').matchAll(/^\| `([A-Z]{2}\d{3})`/gm)].map(
      (match) => match[1],
    );
    expect(documented.sort()).toEqual([...raised].sort());
  });

  it('each variable of the environment stands in docs/environment.md', () => {
    const named = files('{apps/*/src/env,packages/core/src/config/traces}.ts').flatMap((file) =>
      [...read(file).matchAll(/\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PORT|HOST|SCHEDULER)\s*:/g)].map(
        (match) => match[1] ?? '',
      ),
    );
    const documented = read('docs/environment.md');
    expect(named.length).toBeGreaterThan(10);
    expect([...new Set(named)].filter((name) => !documented.includes(`\`${name}\``))).toEqual([]);
  });
});
