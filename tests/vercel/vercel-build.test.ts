/** What Vercel would deploy: its crons, its functions and their limits, and no secret in any of its files. */
import { existsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import vercel from '../../vercel.json' with { type: 'json' };
import { leaksIn, type Output } from '../support/canaries.ts';
import { buildForVercel, installCli, ROOT, reachesNetwork } from './vercel-build.ts';

const OUTPUT = path.join(ROOT, 'node_modules/.cache/vercel-output');
const FUNCTIONS = path.join(OUTPUT, 'functions');

interface BuiltRoute {
  readonly src?: string;
  readonly dest?: string;
  readonly handle?: string;
}

interface BuiltFunction {
  readonly runtime: string;
  readonly maxDuration?: number;
  /** Files of the repository that belong to it. */
  readonly filePathMap?: Readonly<Record<string, string>>;
}

let config: {
  readonly crons: unknown;
  readonly routes: readonly BuiltRoute[];
  readonly framework: { readonly slug: string };
};
let canaries: Array<{ readonly name: string; readonly value: string }>;

/** How long a route asks for, in seconds. */
async function secondsOf(route: string): Promise<number> {
  const source = await readFile(path.join(ROOT, 'apps/web/src/app', route, 'route.ts'), 'utf8');
  return Number(/\bmaxDuration = (\d+)/.exec(source)?.[1]);
}

/** Every variable of the manual whose value is, or may hold, a secret. */
async function secretNames(): Promise<string[]> {
  const manual = await readFile(path.join(ROOT, 'docs/environment.md'), 'utf8');
  const names = [...manual.matchAll(/^\|(.*?)\|/gm)].flatMap(
    ([, cell = '']) => cell.match(/[A-Z][A-Z_]+/g) ?? [],
  );
  return [...new Set(names)].filter((name) => /SECRET|TOKEN|KEY|DSN|URL|_CA$/.test(name));
}

const readFunction = async (name: string): Promise<BuiltFunction> =>
  JSON.parse(await readFile(path.join(FUNCTIONS, `${name}.func`, '.vc-config.json'), 'utf8'));

async function builtFunctions(): Promise<string[]> {
  const found = await readdir(FUNCTIONS, { recursive: true });
  return found
    .filter((file) => file.endsWith('.func/.vc-config.json'))
    .map((file) => file.slice(0, -'.func/.vc-config.json'.length));
}

/**
 * The function that answers a path, as Vercel finds it: one of that name, or the first dynamic
 * route that matches.
 */
function functionOf(asked: string): string | undefined {
  if (existsSync(path.join(FUNCTIONS, `${asked}.func`))) return asked.slice(1);
  const dynamic = config.routes.slice(config.routes.findIndex(({ handle }) => handle === 'rewrite') + 1);
  const route = dynamic.find(
    ({ src, dest }) => src !== undefined && dest !== undefined && new RegExp(src).test(asked),
  );
  return route?.dest?.split('?')[0]?.slice(1);
}

beforeAll(async () => {
  canaries = (await secretNames()).map((name) => ({
    name,
    value: `canary-${crypto.randomUUID()}-of-the-build`,
  }));
  await installCli();
  await buildForVercel(OUTPUT, Object.fromEntries(canaries.map(({ name, value }) => [name, value])));
  config = JSON.parse(await readFile(path.join(OUTPUT, 'config.json'), 'utf8'));
}, 15 * 60_000);

it('was built without a network', async () => {
  expect(await reachesNetwork()).toBe(false);
});

it('uses the pnpm of the project', async () => {
  const read = async (file: string) => JSON.parse(await readFile(path.join(ROOT, file), 'utf8'));
  const { dependencies } = await read('scripts/vercel/package.json');
  expect((await read('package.json')).packageManager).toBe(`pnpm@${dependencies.pnpm}`);
});

describe('what is deployed', () => {
  it('has the crons of vercel.json', () => {
    expect(config.framework.slug).toBe('nextjs');
    expect(config.crons).toEqual(vercel.crons);
  });

  it.each(vercel.crons)(
    'answers $path by the cron route, for as long as that asks for',
    async ({ path: asked }) => {
      expect(functionOf(asked)).toBe('api/cron/[job]');
      expect(await readFunction('api/cron/[job]')).toMatchObject({
        runtime: 'nodejs24.x',
        maxDuration: await secondsOf('api/cron/[job]'),
      });
    },
  );

  it.each(['/api/runs', '/api/jobs/dm-queue', '/api/accounts/1/pause'])(
    'answers %s by the job API, for as long as that asks for',
    async (asked) => {
      expect(functionOf(asked)).toBe('api/[...path]');
      expect(await readFunction('api/[...path]')).toMatchObject({
        runtime: 'nodejs24.x',
        maxDuration: await secondsOf('api/[...path]'),
      });
    },
  );

  it('answers /health and /ready', () => {
    expect(['/health', '/ready'].map(functionOf)).toEqual(['health', 'ready']);
  });

  it('runs on the Node.js of the project, every function', async () => {
    const functions = await Promise.all((await builtFunctions()).map(readFunction));
    expect(functions.length).toBeGreaterThan(5);
    const major = (await readFile(path.join(ROOT, '.node-version'), 'utf8')).split('.')[0];
    expect(new Set(functions.map(({ runtime }) => runtime))).toEqual(new Set([`nodejs${major}.x`]));
  });

  it('has no secret of the build in any file, and no file of an environment', async () => {
    const own = (await readdir(OUTPUT, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
    const functions = await Promise.all((await builtFunctions()).map(readFunction));
    const taken = new Set(functions.flatMap(({ filePathMap = {} }) => Object.values(filePathMap)));
    expect([...taken].filter((file) => /(^|\/)\.env/.test(file))).toEqual([]);
    // Packages were there before the build.
    const built = [...taken]
      .filter((file) => !file.startsWith('node_modules/'))
      .map((file) => path.join(ROOT, file))
      // Links to packages stand there too.
      .filter((file) => statSync(file).isFile());
    expect(built.length).toBeGreaterThan(20);
    const outputs: Output[] = await Promise.all(
      [...own, ...built].map(async (where) => ({ where, text: await readFile(where, 'latin1') })),
    );
    expect(canaries.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'CRON_SECRET',
        'SUPABASE_SECRET_KEY',
        'DATABASE_URL',
        'UNIPILE_API_KEY',
        'OPS_TOKEN',
      ]),
    );
    expect(leaksIn(outputs, canaries)).toEqual([]);
  });
});
