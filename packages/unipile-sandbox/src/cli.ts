/**
 * Runs the sandbox on its own: `node src/cli.ts --port 4010 --api-key key`.
 *
 * Stops on SIGINT and SIGTERM. Writes one line when it listens.
 */
import { parseArgs } from 'node:util';
import { startSandbox } from './server.ts';

const USAGE = `usage: node src/cli.ts [options]

  --port <n>                  default 4010; 0 for any free port
  --host <address>            default 127.0.0.1
  --api-key <key>             what X-API-KEY must be; default sandbox.key
  --account <id>              an account to begin with; may be repeated
  --visibility-delay-ms <n>   how late reads show a message; default 0
  --short-links               posts show https://lnkd.in/… for long links
  --latency-min-ms <n>        how long every answer takes at least; default 0
  --latency-max-ms <n>        and at most; default the least
`;

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '4010' },
    host: { type: 'string', default: '127.0.0.1' },
    'api-key': { type: 'string', default: 'sandbox.key' },
    account: { type: 'string', multiple: true, default: [] },
    'visibility-delay-ms': { type: 'string', default: '0' },
    'short-links': { type: 'boolean', default: false },
    'latency-min-ms': { type: 'string', default: '0' },
    'latency-max-ms': { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

/** @throws {RangeError} naming the option */
function integer(option: string, text: string, max: number): number {
  const value = Number(text);
  if (text !== '' && Number.isInteger(value) && value >= 0 && value <= max) return value;
  throw new RangeError(`--${option} must be an integer from 0 to ${max}, got ${text}`);
}

const DAY_MS = 86_400_000;

if (values.help) {
  process.stdout.write(USAGE);
} else {
  const minMs = integer('latency-min-ms', values['latency-min-ms'], DAY_MS);
  const sandbox = await startSandbox({
    port: integer('port', values.port, 65_535),
    host: values.host,
    apiKey: values['api-key'],
    accounts: values.account.map((id) => ({ id })),
    visibilityDelayMs: integer('visibility-delay-ms', values['visibility-delay-ms'], DAY_MS),
    shortLinks: values['short-links'],
    latencyMs: {
      min: minMs,
      max: integer('latency-max-ms', values['latency-max-ms'] ?? String(minMs), DAY_MS),
    },
  });
  process.stdout.write(`Unipile sandbox listening on ${sandbox.url}\n`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void sandbox.close());
  }
}
