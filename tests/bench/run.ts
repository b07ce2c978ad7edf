/** `npm run bench`: the throughput comparison, or one of the single measures by its name. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

const MEASURES = [
  'throughput',
  'trigger-latency',
  'api-overhead',
  'claim-depth',
  'enqueue',
  'run-memory',
  'recovery',
  'start-up',
  'scrape',
  'cron-route',
] as const;

const [name = 'throughput', ...options] = process.argv.slice(2);
if (!MEASURES.some((measure) => measure === name)) {
  process.stderr.write(
    `npm run bench -- [${MEASURES.join(' | ')}] [options]; docs/performance.md has more\n`,
  );
  process.exit(2);
}
const child = spawn(process.execPath, [path.join(import.meta.dirname, `${name}.ts`), ...options], {
  stdio: 'inherit',
});
const [code] = await once(child, 'exit');
process.exit(code ?? 1);
