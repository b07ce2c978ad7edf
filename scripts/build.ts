/**
 * Builds what production runs: the jobs API and the worker, and the ops CLI.
 *
 * Each becomes JavaScript in the `dist` of its app that needs Node.js and nothing of node_modules;
 * parts that are imported only when they are needed stay files of their own. The same sources give
 * the same bytes, wherever they lie. Whatever the bundler warns of fails the build: an import that
 * is not there would be found out in production.
 */
import { cp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { build, type Plugin } from 'rolldown';

const ROOT = path.resolve(import.meta.dirname, '..');

export interface Bundle {
  /** Its folder, from the root of the repository. */
  readonly app: string;
  /** The sources that are started, by the name of their file in `dist`. */
  readonly entries: Readonly<Record<string, string>>;
}

export const BUNDLES: readonly Bundle[] = [
  { app: 'apps/jobs-api', entries: { server: 'src/server.ts', worker: 'src/worker.ts' } },
  { app: 'apps/ops', entries: { ops: 'src/cli.ts' } },
];

/**
 * What is read of packages that read files beside their code: it is copied to `files/<package>` of
 * the build.
 */
const FILES_OF: Readonly<Record<string, string>> = {
  '@fastify/swagger-ui': 'static',
  '@bull-board/ui': 'dist',
};

/** How the queue board finds its page. */
const BOARD_LOOKUP = "eval(`require.resolve('@bull-board/ui/package.json')`)";

/**
 * Modules that name `__dirname` or `__filename`, which a bundle does not have, without harm; and
 * why there is none.
 */
const HARMLESS: Readonly<Record<string, string>> = {
  '@colors/colors/lib/colors.js': 'in a comment',
  '@fastify/view/index.js': 'for Dot.js, which nobody asks for',
  '@fastify/swagger/lib/util/read-package-json.js': 'in a try: for the version of a document that has none',
  'bullmq/dist/cjs/classes/worker.js': 'for a processor that is a file; ours is a function',
  'bullmq/dist/esm/classes/worker.js': 'for a processor that is a file; ours is a function',
  'bullmq/dist/cjs/postgres/sql-scripts.js': 'in a comment',
  'bullmq/dist/esm/postgres/sql-scripts.js': 'in a comment',
  'commander/lib/command.js': 'in a comment',
  'ejs/lib/cjs/ejs.js': 'in the text of a template’s function, which declares it',
  'ejs/lib/esm/ejs.js': 'in the text of a template’s function, which declares it',
  'ioredis/built/Command.js': 'for showFriendlyErrorStack, which nobody sets',
  'msgpackr/dist/node.cjs': 'where there is no require',
  'pino/lib/transport.js': 'for transports in threads; ours writes to standard output itself',
  'thread-stream/index.js': 'for transports in threads; ours writes to standard output itself',
  'undici/index.js': 'asked for with typeof',
};

/** Packages that others try to load and do without, and who they are. */
const ABSENT: Readonly<Record<string, string>> = {
  'msgpackr-extract': 'msgpackr, of BullMQ: compiled for each machine',
};

/** Makes stacks name places in the sources. */
const SOURCE_PLACES = path.join(ROOT, 'packages/core/src/telemetry/source-places.ts');

/** A module that says where the build is: those that are not ESM cannot ask by themselves. */
const FOLDER = 'built:folder';

interface Place {
  readonly name: string;
  /** Of the package. */
  readonly folder: string;
  /** Within the package. */
  readonly file: string;
}

/** The package that a module is of, if it is of one. */
function placeOf(id: string): Place | null {
  const [, before = '', name, file] = /^(.*\/node_modules\/)((?:@[^/]+\/)?[^/]+)\/(.+)$/.exec(id) ?? [];
  return name === undefined || file === undefined ? null : { name, folder: before + name, file };
}

/** Code that gives the place of a file in the build. */
const builtPlace = (...parts: readonly string[]): string =>
  `(require('${FOLDER}').folder + '/${path.posix.join('files', ...parts)}')`;

/**
 * Leads packages to the files that they read, and refuses one that would look for files in vain.
 *
 * @param found gets the folders of the packages whose files are needed, by their names
 */
const filesBeside = (found: Map<string, string>): Plugin => ({
  name: 'files-beside',
  resolveId: (source) => (source === FOLDER ? FOLDER : null),
  load: (id) => (id === FOLDER ? 'export const folder = import.meta.dirname;' : null),
  transform(code, id) {
    const place = placeOf(id.replaceAll('\\', '/'));
    if (place === null) return null;
    const { name, folder, file } = place;
    if (name === '@bull-board/api' && file === 'dist/index.js') {
      if (!code.includes(BOARD_LOOKUP)) throw new Error(`${name} finds its page in another way than before`);
      const manifest = createRequire(id).resolve('@bull-board/ui/package.json');
      found.set('@bull-board/ui', path.dirname(manifest));
      return { code: code.replace(BOARD_LOOKUP, builtPlace('@bull-board/ui/package.json')), map: null };
    }
    if (!/\b__(?:dirname|filename)\b/.test(code) || `${name}/${file}` in HARMLESS) return null;
    if (!(name in FILES_OF) || code.includes('__filename')) {
      throw new Error(`${name}/${file} reads files beside it: where are they in the build?`);
    }
    found.set(name, folder);
    return { code: code.replaceAll('__dirname', builtPlace(name, path.posix.dirname(file))), map: null };
  },
});

/**
 * Lets each program begin with {@link SOURCE_PLACES}, on its first line, so that the others stay
 * where they are.
 */
const sourcePlacesFirst: Plugin = {
  name: 'source-places-first',
  transform(code, id) {
    if (this.getModuleInfo(id)?.isEntry !== true) return null;
    const [, shebang = '', rest = ''] = /^(#!.*\n)?([\s\S]*)$/.exec(code) ?? [];
    return { code: `${shebang}import ${JSON.stringify(SOURCE_PLACES)};${rest}`, map: null };
  },
};

/**
 * Builds one bundle.
 *
 * @param folder where its files go; emptied first
 * @throws on whatever the bundler warns of
 */
export async function buildBundle({ app, entries }: Bundle, folder: string): Promise<void> {
  const found = new Map<string, string>();
  await build({
    cwd: path.resolve(ROOT, app),
    input: { ...entries },
    platform: 'node',
    tsconfig: false,
    external: Object.keys(ABSENT),
    plugins: [filesBeside(found), sourcePlacesFirst],
    onLog(level, log) {
      if (level === 'warn') throw new Error(log.message);
    },
    output: {
      dir: folder,
      cleanDir: true,
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: '[name]-[hash].js',
      sourcemap: true,
      // They are in the repository, and named by their places there, wherever this is built.
      sourcemapExcludeSources: true,
      sourcemapPathTransform: (source, map) =>
        path.relative(ROOT, path.resolve(path.dirname(map), source)).replaceAll('\\', '/'),
      // Names of functions and classes stand in logs, and in what Fastify says of a plugin.
      keepNames: true,
    },
  });
  for (const [name, from] of found) {
    const files = FILES_OF[name];
    if (files === undefined) throw new Error(`${name}: nothing says what it reads`);
    await cp(path.join(from, files), path.join(folder, 'files', name, files), { recursive: true });
  }
}

if (import.meta.main) {
  const names = process.argv.slice(2);
  const nameOf = ({ app }: Bundle): string => path.basename(app);
  const unknown = names.filter((name) => !BUNDLES.some((bundle) => nameOf(bundle) === name));
  if (unknown.length > 0) throw new Error(`nothing to build is called ${unknown.join(' or ')}`);
  const wanted = BUNDLES.filter((bundle) => names.length === 0 || names.includes(nameOf(bundle)));
  for (const bundle of wanted) await buildBundle(bundle, path.join(ROOT, bundle.app, 'dist'));
}
