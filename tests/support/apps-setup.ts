/**
 * The apps' build, made once before whole systems start: it is what production runs, and starts
 * sooner than its sources.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildApp } from './built-apps.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Where the programs of the jobs API and of the ops CLI are. */
    readonly builtApps: { readonly jobsApi: string; readonly ops: string };
  }
}

export default async function setUp({ provide }: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(path.join(tmpdir(), 'revos-apps-'));
  const jobsApi = await buildApp('jobs-api', path.join(folder, 'jobs-api'));
  const ops = await buildApp('ops', path.join(folder, 'ops'));
  provide('builtApps', { jobsApi, ops });
  return () => rm(folder, { recursive: true, force: true });
}
