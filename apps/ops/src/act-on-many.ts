/**
 * One thing done to many rows: named ones at once, those of a filter after a look at what matches.
 *
 * A filter is dry-run first, and carried out with the number that it matched: if another number matches by
 * then, the API does nothing.
 */
import type { Cli } from './cli-context.ts';
import { EXIT, type ExitCode, UsageError } from './exit-codes.ts';
import { actionQuestion, actionText } from './output/action-text.ts';
import type { ActionResult } from './shapes.ts';

export type Filter = Readonly<Record<string, unknown>>;

export type Selection = { readonly ids: readonly string[] } | { readonly filter: Filter };

export interface ActionRequest {
  readonly action: string;
  readonly selection: Selection;
  readonly args: Readonly<Record<string, unknown>>;
  readonly dry_run?: boolean;
  readonly expected_count?: number;
}

/** Messages or posts. */
export interface Rows {
  readonly noun: 'message' | 'post';
  act(request: ActionRequest): Promise<ActionResult>;
  /** The first rows that match, as a table. */
  sample(filter: Filter, count: number): Promise<string>;
}

export interface ActOptions {
  /** Only says what would be done. */
  readonly dryRun: boolean;
  /** Does it without a question. */
  readonly yes: boolean;
}

/** Rows that are shown of what matches a filter. */
const SAMPLE = 5;

/** @throws {UsageError} if a filter is to be carried out, and nobody can be asked */
export async function actOnMany(
  { terminal }: Pick<Cli, 'terminal'>,
  rows: Rows,
  request: ActionRequest,
  { dryRun, yes }: ActOptions,
): Promise<ExitCode> {
  const { selection } = request;
  const shown = (result: ActionResult): ExitCode => {
    terminal.answer(result, () => actionText(result, rows.noun));
    return isWhole(result) ? EXIT.ok : EXIT.unhealthy;
  };
  if ('ids' in selection) return shown(await rows.act({ ...request, dry_run: dryRun }));

  const foreseen = await rows.act({ ...request, dry_run: true });
  if (foreseen.matched > 0) terminal.note(await rows.sample(selection.filter, SAMPLE));
  if (dryRun || foreseen.changed === 0) return shown(foreseen);
  terminal.note(actionText(foreseen, rows.noun));
  if (!yes) {
    if (!terminal.canAsk) throw new UsageError('Nothing was done: without a terminal, a filter needs --yes.');
    if (!(await terminal.confirm(actionQuestion(foreseen, rows.noun)))) {
      terminal.note('Nothing was done.');
      return EXIT.unhealthy;
    }
  }
  return shown(await rows.act({ ...request, expected_count: foreseen.matched }));
}

/** Whether nothing was refused. */
const isWhole = ({ refused, matched, changed }: ActionResult): boolean =>
  refused.length === 0 && changed === matched;
