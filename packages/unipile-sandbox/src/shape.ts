/**
 * Checks what a caller declares or scripts, and names every field that is wrong.
 */
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { ACTIONS, type ActionKind, type Fault, FaultEnvelope } from './faults.ts';

const PROBLEMS_MAX = 20;

export interface Problem {
  /** Where, as a path with dots: `match.operation`. Empty for the whole value. */
  readonly field: string;
  readonly message: string;
}

/** Something declared or scripted is not what it must be. The caller is at fault; nothing was changed. */
export class DeclarationError extends Error {
  override readonly name = 'DeclarationError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super(problems.map(({ field, message }) => `${field === '' ? 'body' : field} ${message}`).join('; '));
    this.problems = problems;
  }
}

/** The world takes no more of these. */
export function tooMany(things: string, max: number): DeclarationError {
  return new DeclarationError([{ field: things, message: `must be at most ${max}` }]);
}

/** @throws {DeclarationError} */
export function checkShape<Schema extends TSchema>(schema: Schema, value: unknown, at = ''): Static<Schema> {
  const problems = problemsOf(schema, value, at);
  if (problems.length > 0) throw new DeclarationError(problems);
  return value as Static<Schema>;
}

/**
 * A fault's action is checked against the kind it names, so that its own fields are reported.
 * @throws {DeclarationError}
 */
export function checkFault(value: unknown, at = ''): Fault {
  const actionAt = at === '' ? 'action' : `${at}.action`;
  const fault = checkShape(FaultEnvelope, value, at);
  const action = checkShape(ACTIONS[fault.action.kind as ActionKind], fault.action, actionAt);
  if (action.kind === 'latency') checkLatency(action, actionAt);
  return value as Fault;
}

function checkLatency(action: { ms?: number; min_ms?: number; max_ms?: number }, at: string): void {
  const hasRange = action.min_ms !== undefined && action.max_ms !== undefined;
  const isPartial = (action.min_ms === undefined) !== (action.max_ms === undefined);
  if (hasRange === (action.ms !== undefined) || isPartial) {
    throw new DeclarationError([{ field: `${at}.ms`, message: 'must be given, or both min_ms and max_ms' }]);
  }
  if (hasRange && (action.min_ms ?? 0) > (action.max_ms ?? 0)) {
    throw new DeclarationError([{ field: `${at}.max_ms`, message: 'must not be less than min_ms' }]);
  }
}

function problemsOf(schema: TSchema, value: unknown, at: string): Problem[] {
  if (Value.Check(schema, value)) return [];
  const problems = new Map<string, Problem>();
  for (const error of Value.Errors(schema, value)) {
    const path = error.instancePath.split('/').slice(1);
    for (const name of namedBy(error.params)) {
      const field = [...(at === '' ? [] : [at]), ...path, ...name].join('.');
      if (!problems.has(field)) problems.set(field, { field, message: error.message });
    }
  }
  // Where a field is wrong, its parents only repeat that something in them is.
  const deepest = [...problems.values()].filter(
    ({ field }) =>
      ![...problems.keys()].some(
        (other) => other.startsWith(field === '' ? '' : `${field}.`) && other !== field,
      ),
  );
  return deepest.slice(0, PROBLEMS_MAX);
}

/** Names of properties that are missing or unknown, which stand beside the path and not in it. */
function namedBy(params: object): string[][] {
  const { requiredProperties, additionalProperties } = params as {
    requiredProperties?: string[];
    additionalProperties?: string[];
  };
  const names = requiredProperties ?? additionalProperties;
  return names === undefined ? [[]] : names.map((name) => [name]);
}
