/**
 * Metrics of one process: what is counted at its seams, and, at each scrape, what the database and Redis say.
 *
 * Loaded only where a token or a port for them is configured. The core knows nothing of it.
 */
import type { Effects } from '@revos/core/effects';
import type { Engine, JobDefinition, RunStore } from '@revos/core/jobs';
import type { Rpc } from '@revos/core/rpc';
import type { Logger } from '@revos/core/telemetry';
import type { Unipile } from '@revos/core/unipile';
import manifest from '../../package.json' with { type: 'json' };
import { readDeployment } from './deployment.ts';
import { createMeters } from './meters.ts';
import { observeRpc } from './observed-rpc.ts';
import { observeEngine, observeRunStore } from './observed-runs.ts';
import { observeUnipile } from './observed-unipile.ts';
import { type MetricsPort, openMetricsPort, type Scrape } from './port.ts';
import { type MeasuredQueue, readQueue } from './queue.ts';
import { shareRead } from './shared-read.ts';

export interface MetricsOptions {
  readonly jobs: readonly JobDefinition[];
  readonly effects: Effects;
  readonly logger: Logger;
  readonly commit: string | undefined;
  /** A port of its own; undefined for none, 0 for any. */
  readonly port: number | undefined;
}

export interface MeasuredParts {
  readonly rpc: Rpc;
  readonly engine: Pick<Engine, 'onChange'>;
  /** Null where there is no queue. */
  readonly bullmq: MeasuredQueue | null;
}

export interface Metrics extends Scrape {
  readonly onDatabaseRepeated: () => void;
  readonly onUnipileRepeated: () => void;
  observeRpc(rpc: Rpc): Rpc;
  observeUnipile(unipile: Unipile): Unipile;
  observeStore(store: RunStore): RunStore;
  /** Says what a scrape asks; before the first one. */
  measure(parts: MeasuredParts): void;
  /** Opens the port of its own, if there is to be one. */
  listen(): Promise<void>;
  close(): Promise<void>;
}

export function createMetrics({ jobs, effects, logger, commit, port }: MetricsOptions): Metrics {
  const meters = createMeters({ jobs, version: manifest.version, commit });
  let reads: { readonly database: () => Promise<boolean>; readonly queue?: () => Promise<boolean> } | null =
    null;
  let opened: MetricsPort | null = null;

  const metrics: Metrics = {
    contentType: meters.ofProcess.contentType,
    onDatabaseRepeated: () => meters.repeats.inc({ of: 'database_call' }),
    onUnipileRepeated: () => meters.repeats.inc({ of: 'unipile_read' }),
    observeRpc: (rpc) => observeRpc(rpc, meters, effects),
    observeUnipile: (unipile) => observeUnipile(unipile, meters, effects),
    observeStore: (store) => observeRunStore(store, meters),

    measure({ rpc, engine, bullmq }) {
      observeEngine(engine, meters);
      reads = {
        database: shareRead(effects, () => readDeployment(meters, { rpc, logger, jobs })),
        ...(bullmq === null ? {} : { queue: shareRead(effects, () => readQueue(meters, bullmq, logger)) }),
      };
    },

    async scrape() {
      const [isDatabaseUp = false, isQueueUp] = await Promise.all([reads?.database(), reads?.queue?.()]);
      meters.databaseUp.set(isDatabaseUp ? 1 : 0);
      if (isQueueUp !== undefined) meters.queueUp.set({ queue: 'redis' }, isQueueUp ? 1 : 0);
      // What is not known by now is left out, and not told again.
      if (isQueueUp === false) meters.queueSlices.reset();
      const registries = isDatabaseUp ? [meters.ofProcess, meters.ofDeployment] : [meters.ofProcess];
      const texts = await Promise.all(registries.map((registry) => registry.metrics()));
      return texts.join('\n');
    },

    async listen() {
      if (port !== undefined) opened = await openMetricsPort(port, metrics, logger);
    },
    async close() {
      await opened?.close();
    },
  };
  return metrics;
}
