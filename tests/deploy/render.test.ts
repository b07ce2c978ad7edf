/** `render.yaml`, held against Render's schema and against what the jobs API reads. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv } from 'ajv';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

interface EnvVar {
  readonly key: string;
  readonly value?: string;
  readonly sync?: boolean;
}

interface Service {
  readonly name: string;
  readonly startCommand: string;
  readonly healthCheckPath: string;
  readonly maxShutdownDelaySeconds: number;
  readonly plan: string;
  readonly rootDir?: string;
  readonly buildFilter: { readonly paths: readonly string[] };
  readonly envVars: readonly EnvVar[];
}

let blueprint: { readonly services: readonly Service[] };
let jobsApi: Service;

beforeAll(() => {
  blueprint = parse(read('render.yaml'));
  const found = blueprint.services.find(({ name }) => name === 'revos-jobs-api');
  if (!found) throw new Error('render.yaml has no revos-jobs-api');
  jobsApi = found;
});

const valueOfKey = (key: string): string | undefined =>
  jobsApi.envVars.find((envVar) => envVar.key === key)?.value;

describe('render.yaml', () => {
  it('is valid by Render’s schema, which refuses what it does not know', () => {
    const schema = JSON.parse(read('tests/deploy/render-blueprint.schema.json'));
    const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);
    expect(validate(blueprint), JSON.stringify(validate.errors?.slice(0, 3))).toBe(true);
    const broken = { ...blueprint, services: [{ ...jobsApi, startComand: 'x' }] };
    expect(validate(broken)).toBe(false);
  });

  it('names only what the jobs API reads, and each thing it must have', () => {
    const source = read('apps/jobs-api/src/env.ts');
    const ofTheMachine = ['NODE_ENV', 'NODE_VERSION'];
    for (const { key } of jobsApi.envVars) {
      if (!ofTheMachine.includes(key)) expect(source, key).toContain(key);
    }
    const given = new Set(jobsApi.envVars.map(({ key }) => key));
    for (const key of [
      'SUPABASE_URL',
      'SUPABASE_SECRET_KEY',
      'UNIPILE_DSN',
      'UNIPILE_API_KEY',
      'JOB_SECRET',
      'JOBS_SIGNING_SECRETS',
      'OPS_TOKENS',
    ]) {
      expect(given, key).toContain(key);
    }
  });

  it('carries no secret', () => {
    const secrets = jobsApi.envVars.filter(({ key }) => /SECRET|TOKEN|KEY|DSN|URL/.test(key));
    expect(secrets.length).toBeGreaterThan(5);
    for (const { key, sync, value } of secrets)
      expect({ key, sync, value }).toEqual({ key, sync: false, value: undefined });
  });

  it('runs the Node.js that the project runs on, never on a plan that sleeps', () => {
    expect(valueOfKey('NODE_VERSION')).toBe(read('.node-version').trim());
    expect(read('pnpm-workspace.yaml')).toContain(`node: ${valueOfKey('NODE_VERSION')}`);
    expect(jobsApi.plan).not.toBe('free');
  });

  it('gives a run more time to end than it takes', () => {
    expect(jobsApi.maxShutdownDelaySeconds).toBeGreaterThan(Number(valueOfKey('SHUTDOWN_GRACE_SECONDS')) + 5);
  });

  it('starts a file that exists, is asked for its health where it answers, and is built when its sources change', () => {
    const [program, file] = jobsApi.startCommand.split(' ');
    expect(program).toBe('node');
    expect(existsSync(path.join(ROOT, file ?? ''))).toBe(true);
    expect(read('apps/jobs-api/src/routes/health.ts')).toContain(`'${jobsApi.healthCheckPath}'`);
    expect(jobsApi.rootDir).toBeUndefined();
    expect(jobsApi.buildFilter.paths).toEqual(
      expect.arrayContaining(['apps/jobs-api/**', 'packages/core/**', 'pnpm-lock.yaml']),
    );
  });
});
