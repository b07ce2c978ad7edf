/**
 * The image of production: its Dockerfile carried out step by step, and what it starts over a real
 * database and the sandbox.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type LocalSupabase, startSupabase } from '@revos/local-stack';
import { type Sandbox, startSandbox } from '@revos/unipile-sandbox';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { environmentFor } from '../../apps/jobs-api/test/support/server.ts';
import { buildApp } from '../support/built-apps.ts';
import { buildImage, type Image } from '../support/image.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const COMMIT = '0123456789abcdef0123456789abcdef01234567';

let folder: string;
let image: Image;
let supabase: LocalSupabase;
let sandbox: Sandbox;
let container: ChildProcess | undefined;
let output = '';

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'revos-image-'));
  image = await buildImage({ root: ROOT, folder, args: { COMMIT } });
  supabase = await startSupabase({ connection: {} });
  sandbox = await startSandbox();
});
afterAll(async () => {
  await sandbox?.close();
  await supabase?.close();
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => {
  container?.kill('SIGKILL');
});

/** Starts it, and waits until it has said something that matches. */
async function start(env: Readonly<Record<string, string>>, said: RegExp, args?: readonly string[]) {
  const all = { ...environmentFor(supabase, sandbox.url), UNIPILE_API_KEY: sandbox.apiKey, ...env };
  const child = image.start(all as Record<string, string>, args);
  container = child;
  output = '';
  const isSaid = Promise.withResolvers<RegExpExecArray>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      const found = said.exec(output);
      if (found) isSaid.resolve(found);
    });
  }
  const closed = once(child, 'close');
  void closed.then(([code]) => isSaid.reject(new Error(`it ended with ${code}: ${output}`)));
  const found = await isSaid.promise;
  return { child, closed, found };
}

it('has the programs and nothing besides, as every build makes them', async () => {
  const dist = await buildApp('jobs-api', path.join(folder, 'beside'));
  const files = image.files.filter((file) => file.startsWith('dist/'));
  expect(image.files.filter((file) => !files.includes(file))).toEqual(['package.json']);
  expect(files).toEqual(expect.arrayContaining(['dist/server.js', 'dist/worker.js']));
  for (const file of files) {
    const [inImage, beside] = await Promise.all([
      readFile(path.join(image.root, image.workdir, file)),
      readFile(path.join(dist, path.relative('dist', file))),
    ]);
    expect(inImage.equals(beside), file).toBe(true);
  }
});

it('says what it is', () => {
  expect(image.labels).toMatchObject({
    'org.opencontainers.image.title': 'RevOS jobs',
    'org.opencontainers.image.revision': COMMIT,
    'org.opencontainers.image.base.name': `docker.io/library/node:${process.versions.node}-bookworm-slim`,
  });
  expect(image.user).toBe('node');
});

it('may write nothing of itself', async () => {
  const write = "require('node:fs').writeFileSync('dist/server.js', '')";
  expect(await image.exec(['node', '-e', write])).toBe(1);
});

it('serves the jobs API, tells its health, and ends in order', async () => {
  const listening = /Server listening at http:\/\/127\.0\.0\.1:(\d+)/;
  const { child, closed, found } = await start({}, listening);
  const [, port = ''] = found;
  expect(await image.exec(image.healthcheck, { PORT: port })).toBe(0);
  expect((await fetch(`http://127.0.0.1:${port}/ready`)).status).toBe(200);
  const health = (await (await fetch(`http://127.0.0.1:${port}/health`)).json()) as { version: string };
  expect(health.version).toContain(COMMIT);
  // The signal goes to what was started itself, and nothing stands before it.
  child.kill('SIGTERM');
  expect(await closed).toEqual([0, null]);
  expect(output).toContain('shut down');
  expect(await image.exec(image.healthcheck, { PORT: port })).toBe(1);
});

it('is a worker with another argument', async () => {
  const args = ['dist/worker.js'];
  const { child, closed } = await start({ SCHEDULER: 'internal' }, /the worker has started/, args);
  child.kill('SIGTERM');
  expect(await closed).toEqual([0, null]);
  expect(output).toContain('shut down');
});
