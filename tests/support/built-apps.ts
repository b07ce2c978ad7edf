/**
 * The apps as production runs them: built, in a folder where nothing of the repository and its
 * packages is beside them.
 */
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { BUNDLES, buildBundle } from '../../scripts/build.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

/**
 * Builds an app into a folder.
 *
 * @param name `jobs-api` or `ops`
 * @returns where its programs are
 */
export async function buildApp(name: string, folder: string): Promise<string> {
  const bundle = BUNDLES.find(({ app }) => path.basename(app) === name);
  if (bundle === undefined) throw new Error(`nothing to build is called ${name}`);
  // It says that its files are modules.
  await cp(path.join(ROOT, bundle.app, 'package.json'), path.join(folder, 'package.json'));
  await buildBundle(bundle, path.join(folder, 'dist'));
  return path.join(folder, 'dist');
}

/** The arguments of Node.js for a built program, as render.yaml and the Dockerfile have them. */
export const builtProgram = (dist: string, name: 'server' | 'worker' | 'ops'): readonly string[] => [
  path.join(dist, `${name}.js`),
];
