/** Turns whatever was thrown into a problem, by its kind or code and never by its text. */
import { EngineUnavailable } from '@revos/core/jobs';
import { RpcError } from '@revos/core/rpc';
import type { FastifyError, FastifySchemaValidationError } from 'fastify';
import { type FieldProblem, HttpProblem, type ProblemKind } from './problems.ts';

/** Seconds after which a caller may try again when the database, or the queue, is away. */
const RETRY_AFTER_SECONDS = '5';

/** Fastify's own refusals, by status. */
const KIND_OF_STATUS: Readonly<Record<number, ProblemKind>> = {
  401: 'unauthenticated',
  404: 'not-found',
  405: 'method-not-allowed',
  408: 'request-timeout',
  413: 'body-too-large',
  414: 'uri-too-long',
  415: 'unsupported-media-type',
  429: 'too-many-requests',
  431: 'headers-too-large',
};

export function toProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (error instanceof RpcError) return rpcProblem(error);
  if (error instanceof EngineUnavailable) {
    return new HttpProblem('queue-unavailable', {
      detail: 'The run is queued, and is taken up once the queue is back.',
      headers: { 'retry-after': RETRY_AFTER_SECONDS },
    });
  }
  const { validation, validationContext, statusCode } = error as Partial<FastifyError>;
  if (validation) {
    const errors = fieldProblems(validation, validationContext ?? 'body');
    return new HttpProblem('invalid-request', { errors });
  }
  if (statusCode === undefined || statusCode < 400 || statusCode >= 500) return new HttpProblem('internal');
  return new HttpProblem(KIND_OF_STATUS[statusCode] ?? 'bad-request');
}

function rpcProblem(error: RpcError): HttpProblem {
  switch (error.kind) {
    case 'unavailable':
      return new HttpProblem('database-unavailable', { headers: { 'retry-after': RETRY_AFTER_SECONDS } });
    case 'rule':
      return ruleProblem(error);
    case 'bug':
      return new HttpProblem('internal');
  }
}

/** Rules that are more than a refusal. */
const KIND_OF_CODE: Readonly<Record<string, ProblemKind>> = {
  AC002: 'account-not-found',
  DM062: 'selection-changed',
  PO001: 'post-not-found',
  PO062: 'selection-changed',
  RS003: 'restore-unfinished',
};

/** Rows that `dm_enqueue` refuses, listed in one answer. */
const ROW_PROBLEMS_MAX = 1_000;

function ruleProblem({ code, message, functionName, detail }: RpcError): HttpProblem {
  const said = message.replace(`${functionName}: `, '');
  const facts = readDetail(detail);
  if (Array.isArray(facts)) {
    return new HttpProblem('refused', { detail: said, errors: rowProblems(facts), extra: { code } });
  }
  const { field, matched } = facts;
  return new HttpProblem(KIND_OF_CODE[code] ?? 'refused', {
    detail: said,
    ...(typeof field === 'string' ? { errors: [{ field: shownPath(field), message: said }] } : {}),
    extra: { code, ...(typeof matched === 'number' ? { matched } : {}) },
  });
}

interface RowProblem {
  readonly row: number;
  readonly field: string | null;
  readonly problem: string;
  readonly twin_row?: number;
  readonly twin_id?: string;
}

/** What a rule of ours says of itself: the field, or the rows. */
function readDetail(detail: string | null): Record<string, unknown> | RowProblem[] {
  if (detail === null || detail === '') return {};
  try {
    return JSON.parse(detail) as Record<string, unknown> | RowProblem[];
  } catch (error) {
    // A function of somebody else's has raised our code: its detail is of any form, and not for callers.
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

const rowProblems = (problems: readonly RowProblem[]): FieldProblem[] =>
  problems.slice(0, ROW_PROBLEMS_MAX).map(({ row, field, problem, twin_row, twin_id }) => ({
    field: ['messages', row, ...(field === null ? [] : [shownName(field)])].join('/'),
    message: problem,
    ...(twin_row === undefined ? {} : { twin_row }),
    ...(twin_id === undefined ? {} : { twin_id }),
  }));

/** A name that is safe to show: what a caller sent as a name may be anything. */
const NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/** `media[0]` as `media/0`. */
const shownPath = (path: string): string =>
  path
    .split(/[[\].]+/)
    .filter((name) => name !== '')
    .map(shownName)
    .join('/');

const shownName = (name: string): string => (NAME.test(name) ? name : '?');

/** Fields named in one answer. */
const FIELDS_MAX = 20;

/** Names the fields of a failed validation, once each, as `<context>/<path>`. */
export function fieldProblems(
  validation: ReadonlyArray<
    Pick<FastifySchemaValidationError, 'keyword' | 'instancePath' | 'message' | 'params'>
  >,
  context: string,
): FieldProblem[] {
  const problems = validation
    // An unknown field is reported twice, and by its parent in better words.
    .filter(({ keyword }) => keyword !== 'boolean')
    .flatMap(({ instancePath, message = 'is not valid', params }) => {
      const names = [params.additionalProperties, params.requiredProperties].find(Array.isArray) ?? [];
      const parent = [context, ...instancePath.split('/').slice(1)];
      return (names.length === 0 ? [parent] : names.map((name) => [...parent, String(name)])).map((path) => ({
        field: path.map(shownName).join('/'),
        message,
      }));
    });
  return [...new Map(problems.map((problem) => [problem.field, problem])).values()].slice(0, FIELDS_MAX);
}
