/**
 * The audit of the dependencies that production runs: known advisories, as the registry has them
 * for the lockfile.
 *
 * Fails at high or critical, unless audit-exceptions.json has the advisory with a reason and a day
 * until which it may stand. An exception that is over, or that is about nothing any more, fails as
 * well. Where the registry has no answer nothing was audited, and that is no success: exit code 3,
 * or 0 with `--unless-unreachable`, but never silent.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

const ROOT = path.resolve(import.meta.dirname, '..');

const FAILING: ReadonlySet<string> = new Set(['high', 'critical']);

/** An exception is looked at again at least so often, in days. */
const EXCEPTION_DAYS_MAX = 90;
const DAY_MS = 86_400_000;

export const EXIT = { clean: 0, problems: 1, notAudited: 3 } as const;

/** As `pnpm audit --json` prints it. */
export interface AuditReport {
  readonly advisories: Readonly<Record<string, Advisory>>;
  readonly metadata: { readonly totalDependencies: number };
}

interface Advisory {
  readonly github_advisory_id: string;
  readonly module_name: string;
  readonly severity: string;
  readonly title: string;
  readonly patched_versions: string | null;
  readonly findings: ReadonlyArray<{ readonly version: string; readonly paths: readonly string[] }>;
}

export interface Exception {
  /** `GHSA-…` */
  readonly advisory: string;
  /** Why it cannot hurt here, or what is waited for. */
  readonly reason: string;
  /** The last day on which it holds, as `2026-12-31`. */
  readonly until: string;
}

export interface Verdict {
  /** What makes the audit fail. */
  readonly problems: readonly string[];
  /** What people should know besides. */
  readonly notes: readonly string[];
}

/** @param today as `2026-11-25` */
export function judge(report: AuditReport, exceptions: readonly Exception[], today: string): Verdict {
  const advisories = Object.values(report.advisories);
  const holding = exceptions.filter((exception) => faultOf(exception, advisories, today) === null);
  const excepted = new Set(holding.map(({ advisory }) => advisory));
  const isProblem = ({ severity, github_advisory_id }: Advisory): boolean =>
    FAILING.has(severity) && !excepted.has(github_advisory_id);
  const faults = exceptions.flatMap((exception) => faultOf(exception, advisories, today) ?? []);
  return {
    problems: [
      ...(report.metadata.totalDependencies > 0 ? [] : ['the audit looked at no dependency']),
      ...advisories.filter(isProblem).map(inWords),
      ...faults,
    ],
    notes: advisories.filter((advisory) => !isProblem(advisory)).map(inWords),
  };
}

/** Why an exception does not hold; null if it does. */
function faultOf(exception: Exception, advisories: readonly Advisory[], today: string): string | null {
  const { advisory, reason, until } = exception;
  const daysLeft = (Date.parse(until) - Date.parse(today)) / DAY_MS;
  if (typeof reason !== 'string' || reason.trim() === '') return `the exception of ${advisory} has no reason`;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(until) || Number.isNaN(daysLeft))
    return `the exception of ${advisory} has no day`;
  if (daysLeft < 0) return `the exception of ${advisory} was over on ${until}`;
  if (daysLeft > EXCEPTION_DAYS_MAX)
    return `the exception of ${advisory} is for more than ${EXCEPTION_DAYS_MAX} days`;
  if (advisories.some((found) => found.github_advisory_id === advisory)) return null;
  return `the exception of ${advisory} is about nothing that is installed: remove it`;
}

function inWords({
  severity,
  module_name,
  findings,
  title,
  github_advisory_id,
  patched_versions,
}: Advisory): string {
  const versions = [...new Set(findings.map(({ version }) => version))].join(', ');
  const way = findings[0]?.paths[0]?.replaceAll('__', '/') ?? 'an unknown way';
  const fix = patched_versions === null ? 'not fixed yet' : `fixed in ${patched_versions}`;
  return `${severity} ${github_advisory_id} in ${module_name} ${versions}: ${title} (${fix}; by ${way})`;
}

/** What pnpm says of the lockfile; null with its reason if the registry gave no answer. */
async function auditLockfile(registry: string | undefined): Promise<AuditReport | string> {
  const { packageManager } = JSON.parse(await readFile(path.join(ROOT, 'package.json'), 'utf8'));
  const args = ['--yes', packageManager, 'audit', '--prod', '--json'];
  const child = spawn('npx', registry === undefined ? args : [...args, '--registry', registry], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  try {
    const report = JSON.parse(stdout);
    if (typeof report?.advisories === 'object' && typeof report?.metadata === 'object') return report;
  } catch (error) {
    // What it prints instead of a report is its reason.
    if (!(error instanceof SyntaxError)) throw error;
  }
  return `${stdout}${stderr}`.trim().slice(0, 2_000);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      registry: { type: 'string' },
      exceptions: { type: 'string', default: path.join(ROOT, 'scripts', 'audit-exceptions.json') },
      'unless-unreachable': { type: 'boolean', default: false },
    },
  });
  const report = await auditLockfile(values.registry);
  if (typeof report === 'string') {
    process.stderr.write(`NOT AUDITED: the registry gave no answer about advisories.\n${report}\n`);
    return values['unless-unreachable'] ? EXIT.clean : EXIT.notAudited;
  }
  const exceptions = JSON.parse(await readFile(values.exceptions, 'utf8')) as Exception[];
  const { problems, notes } = judge(report, exceptions, new Date().toISOString().slice(0, 10));
  for (const note of notes) process.stdout.write(`  ${note}\n`);
  for (const problem of problems) process.stderr.write(`✗ ${problem}\n`);
  if (problems.length > 0) return EXIT.problems;
  process.stdout.write(
    `${report.metadata.totalDependencies} dependencies of production: no high or critical advisory.\n`,
  );
  return EXIT.clean;
}

if (import.meta.main) process.exitCode = await main();
