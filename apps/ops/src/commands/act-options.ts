/** The options that every action on many takes, and how they become a request. */
import { type Command, Option } from 'commander';
import type { ActOptions, Selection } from '../act-on-many.ts';
import type { Cli } from '../cli-context.ts';
import { ids, instantWithZone, nonEmpty } from '../command-line.ts';
import { UsageError } from '../exit-codes.ts';
import { type FilterKinds, filterHelp, readFilter } from '../filters.ts';

export interface ManyOptions {
  readonly filter?: readonly string[];
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

/** Adds ids, `--filter`, `--dry-run` and `--yes`. */
export function takesMany(command: Command, noun: string, kinds: FilterKinds): Command {
  return command
    .argument('[ids...]', `ids of ${noun}s`, ids)
    .option('--filter <key=value...>', `instead of ids: every ${noun} that matches`)
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--yes', 'with a filter: do it without a question')
    .addHelpText('after', filterHelp(kinds));
}

/** @throws {UsageError} unless there are either ids or a filter */
export async function selectionOf(
  cli: Cli,
  rowIds: readonly string[],
  { filter }: ManyOptions,
  kinds: FilterKinds,
): Promise<Selection> {
  if (rowIds.length > 0 && filter !== undefined) throw new UsageError('Give ids or --filter, not both.');
  if (filter !== undefined) return { filter: await readFilter(() => cli.api, filter, kinds) };
  if (rowIds.length === 0) throw new UsageError('Give ids, or --filter key=value.');
  return { ids: [...new Set(rowIds)] };
}

export const actOptionsOf = ({ dryRun = false, yes = false }: ManyOptions): ActOptions => ({ dryRun, yes });

export type Decision = 'sent' | 'resend' | 'drop';

export const DECISIONS: readonly Decision[] = ['sent', 'resend', 'drop'];

export const DECISION_HELP =
  'sent: somebody saw it on LinkedIn; resend: it is not there, and goes out again; drop: it is given up';

/** What became of it; a new option each time, since commander keeps what it read in it. */
export const decisionOption = (): Option =>
  new Option('--as <decision>', DECISION_HELP).choices(DECISIONS).makeOptionMandatory();

export interface SettleOptions {
  readonly reason?: string;
  readonly lookedAt?: string;
}

/** Adds `--reason` and `--looked-at`. */
export const takesSettleOptions = (command: Command): Command =>
  command
    .option('--reason <text>', 'why', nonEmpty)
    .option(
      '--looked-at <instant>',
      'of resend: when somebody looked, such as 2026-12-01T09:30:00Z; now by default',
      instantWithZone,
    );

export const settleArgsOf = (decision: Decision, { lookedAt, ...options }: SettleOptions) => ({
  decision,
  ...reasonOf(options),
  ...(lookedAt === undefined ? {} : { looked_at: lookedAt }),
});

export const reasonOf = ({ reason }: { reason?: string }): { reason?: string } =>
  reason === undefined ? {} : { reason };
