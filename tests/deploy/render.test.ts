/** The blueprints, held against Render's schema and against what the processes read. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv } from 'ajv';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { BUNDLES } from '../../scripts/build.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

interface EnvVar {
  readonly key: string;
  readonly value?: string;
  readonly sync?: boolean;
}

interface Service {
  readonly name: string;
  readonly buildCommand: string;
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

/** The commands that start what `npm run build` makes. */
const STARTS = BUNDLES.flatMap(({ app, entries }) =>
  Object.keys(entries).map((name) => `node ${app}/dist/${name}.js`),
);

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
    expect(jobsApi.maxShutdownDelaySeconds).toBeGreaterThan(Number(valueOfKey('SHUTDOWN_GRACE_SECONDS')) + 6);
  });

  it('installs with the pnpm of the project, and builds', () => {
    const { packageManager } = JSON.parse(read('package.json'));
    const [install, build] = jobsApi.buildCommand.split(' && ');
    expect(install).toMatch(`npx --yes ${packageManager} install --frozen-lockfile --prod `);
    const [program, script, app] = (build ?? '').split(' ');
    expect(program).toBe('node');
    expect(existsSync(path.join(ROOT, script ?? ''))).toBe(true);
    expect(BUNDLES.map((bundle) => bundle.app)).toContain(`apps/${app}`);
    expect(jobsApi.buildFilter.paths).toContain(script);
  });

  it('starts what is built, is asked for its health where it answers, and is built when its sources change', () => {
    expect(STARTS).toContain(jobsApi.startCommand);
    expect(read('apps/jobs-api/src/routes/health.ts')).toContain(`'${jobsApi.healthCheckPath}'`);
    expect(jobsApi.rootDir).toBeUndefined();
    expect(jobsApi.buildFilter.paths).toEqual(
      expect.arrayContaining(['apps/jobs-api/**', 'packages/core/**', 'pnpm-lock.yaml']),
    );
  });
});

describe('render.scale.yaml', () => {
  const scaled = parse(read('render.scale.yaml')) as {
    services: Array<
      Service & { type: string; region: string; ipAllowList?: unknown[]; maxmemoryPolicy?: string }
    >;
  };
  const service = (type: string) => {
    const found = scaled.services.find((one) => one.type === type);
    if (!found) throw new Error(`render.scale.yaml has no ${type}`);
    return found;
  };
  const QUEUE = { JOB_ENGINE: 'bullmq', REDIS_URL: undefined };

  it('is valid by Render’s schema', () => {
    const schema = JSON.parse(read('tests/deploy/render-blueprint.schema.json'));
    const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);
    expect(validate(scaled), JSON.stringify(validate.errors?.slice(0, 3))).toBe(true);
  });

  it('has the jobs API of render.yaml, but for the queue', () => {
    const { envVars, buildFilter, ...rest } = service('web');
    const { envVars: plainVars, buildFilter: plainFilter, ...plain } = jobsApi;
    expect(rest).toEqual(plain);
    expect(envVars.filter(({ key }) => !(key in QUEUE))).toEqual(plainVars);
    expect(buildFilter.paths.filter((file) => file !== 'render.scale.yaml')).toEqual(
      plainFilter.paths.filter((file) => file !== 'render.yaml'),
    );
  });

  it('has a worker that reads the same, from the same queue, and none of the API’s credentials', () => {
    const [api, worker] = [service('web'), service('worker')];
    const varsOf = ({ envVars }: Service) => new Map(envVars.map((envVar) => [envVar.key, envVar]));
    const [ofApi, ofWorker] = [varsOf(api), varsOf(worker)];
    const source = read('apps/jobs-api/src/env.ts');
    for (const [key, envVar] of ofWorker) {
      if (!['NODE_ENV', 'NODE_VERSION'].includes(key)) expect(source, key).toContain(key);
      const { fromService } = envVar as { fromService?: { name: string; envVarKey?: string } };
      if (fromService?.envVarKey === undefined) expect(envVar, key).toEqual(ofApi.get(key));
      else expect(fromService, key).toEqual({ type: 'web', name: api.name, envVarKey: key });
    }
    for (const key of [
      'SUPABASE_URL',
      'SUPABASE_SECRET_KEY',
      'UNIPILE_DSN',
      'UNIPILE_API_KEY',
      'REDIS_URL',
    ]) {
      expect([...ofWorker.keys()], key).toContain(key);
    }
    for (const key of ['JOB_SECRET', 'JOBS_SIGNING_SECRETS', 'OPS_TOKENS']) {
      expect([...ofWorker.keys()], key).not.toContain(key);
    }
    expect(STARTS).toContain(worker.startCommand);
    expect(worker.buildCommand).toBe(api.buildCommand);
    expect(worker.maxShutdownDelaySeconds).toBe(api.maxShutdownDelaySeconds);
    expect(worker.buildFilter).toEqual(api.buildFilter);
    expect(worker.plan).not.toBe('free');
  });

  it('has a queue in the same region that nobody else reaches, and that throws nothing away', () => {
    const queue = service('keyvalue');
    expect(queue).toMatchObject({ ipAllowList: [], maxmemoryPolicy: 'noeviction' });
    expect(new Set(scaled.services.map(({ region }) => region)).size).toBe(1);
    expect(queue.plan).not.toBe('free');
    const { fromService } = service('worker').envVars.find(({ key }) => key === 'REDIS_URL') as unknown as {
      fromService: object;
    };
    expect(fromService).toEqual({ type: 'keyvalue', name: queue.name, property: 'connectionString' });
  });
});

describe('render.worker.yaml', () => {
  const alone = parse(read('render.worker.yaml')) as { services: Array<Service & { type: string }> };

  it('is valid by Render’s schema', () => {
    const schema = JSON.parse(read('tests/deploy/render-blueprint.schema.json'));
    const validate = new Ajv({ strict: false, allErrors: true }).compile(schema);
    expect(validate(alone), JSON.stringify(validate.errors?.slice(0, 3))).toBe(true);
  });

  it('has one worker with its own clock, what it needs, and nothing of the triggers', () => {
    expect(alone.services).toHaveLength(1);
    const { type, envVars, buildCommand, startCommand, plan, maxShutdownDelaySeconds, buildFilter } = alone
      .services[0] as Service & { type: string };
    expect({ type, buildCommand, startCommand, plan }).toEqual({
      ...{ type: 'worker', plan: 'starter', buildCommand: jobsApi.buildCommand },
      startCommand: 'node apps/jobs-api/dist/worker.js',
    });
    expect(buildFilter.paths.filter((file) => file !== 'render.worker.yaml')).toEqual(
      jobsApi.buildFilter.paths.filter((file) => file !== 'render.yaml'),
    );
    expect(maxShutdownDelaySeconds).toBe(jobsApi.maxShutdownDelaySeconds);
    const ofTriggers = ['JOB_SECRET', 'JOBS_SIGNING_SECRETS', 'OPS_TOKENS', 'METRICS_TOKEN', 'PROXY_HOPS'];
    const keys = (vars: readonly EnvVar[]) => vars.map(({ key }) => key).sort();
    expect(keys(envVars)).toEqual(
      [...keys(jobsApi.envVars).filter((key) => !ofTriggers.includes(key)), 'SCHEDULER'].sort(),
    );
    for (const { key, sync, value } of envVars.filter(({ key }) => /SECRET|KEY|DSN|URL/.test(key)))
      expect({ key, sync, value }).toEqual({ key, sync: false, value: undefined });
  });
});

describe('every blueprint', () => {
  interface AnyService extends Service {
    readonly type: 'web' | 'worker' | 'keyvalue';
    readonly autoDeployTrigger: string;
    readonly ipAllowList?: unknown;
    readonly maxmemoryPolicy?: string;
  }
  const every = ['render.yaml', 'render.scale.yaml', 'render.worker.yaml'].flatMap((file) =>
    (parse(read(file)) as { services: AnyService[] }).services.map((service) => ({ file, service })),
  );
  const processes = every.filter(({ service }) => service.type !== 'keyvalue');
  const title = ({ file, service }: (typeof every)[number]) =>
    [`${service.name} of ${file}`, service] as const;

  it.each(processes.map(title))(
    '%s is asked for its health if it is a web service, and only then',
    (_, service) => {
      expect(service.healthCheckPath).toBe(service.type === 'web' ? '/health' : undefined);
    },
  );

  it.each(processes.map(title))(
    '%s may end what it does, and is deployed once its checks have passed',
    (_, service) => {
      const grace = Number(service.envVars.find(({ key }) => key === 'SHUTDOWN_GRACE_SECONDS')?.value);
      expect(grace).toBeGreaterThan(0);
      expect(service.maxShutdownDelaySeconds).toBeGreaterThan(grace + 6);
      // Render's longest.
      expect(service.maxShutdownDelaySeconds).toBeLessThanOrEqual(300);
      expect(service.autoDeployTrigger).toBe('checksPass');
      expect(service.plan).not.toBe('free');
    },
  );

  it.each(processes.map(title))('%s has no secret in the file, and nothing twice', (_, service) => {
    for (const { key, sync, value, ...elsewhere } of service.envVars) {
      if (!/SECRET|TOKEN|KEY|DSN|URL|_CA$/.test(key)) continue;
      expect(value, key).toBeUndefined();
      // A person is asked for it, or another service of the file has it.
      expect(sync === false || 'fromService' in elsewhere, key).toBe(true);
    }
    const names = service.envVars.map(({ key }) => key);
    expect(names).toEqual([...new Set(names)]);
    expect(service.buildFilter.paths).toEqual([...new Set(service.buildFilter.paths)]);
  });

  it('every queue is private, and throws nothing away', () => {
    const queues = every.filter(({ service }) => service.type === 'keyvalue');
    expect(queues.map(({ file }) => file)).toEqual(['render.scale.yaml']);
    for (const { service } of queues)
      expect(service).toMatchObject({ ipAllowList: [], maxmemoryPolicy: 'noeviction' });
  });
});
