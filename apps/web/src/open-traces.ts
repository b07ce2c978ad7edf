/**
 * The traces of this app: its slots, and what it asks of the jobs API.
 *
 * OpenTelemetry is loaded by the first slot, where there is a collector, and nowhere else.
 */
import { type Logger, NO_TRACES, type Traces } from '@revos/core/telemetry';
import { readTracesEnv } from './env.ts';
import { release } from './release.ts';

/** One for the process: it holds what waits to be sent. */
let opened: Promise<Traces> | undefined;

/** @throws {EnvironmentError} */
export async function openTraces(logger: Logger): Promise<Traces> {
  const config = readTracesEnv();
  if (config === null) return NO_TRACES;
  const { commit, ...where } = config;
  opened ??= import('@revos/otel').then(({ createOtelTraces }) =>
    createOtelTraces({ ...where, process: 'web', release: release(commit), logger }),
  );
  return opened;
}
