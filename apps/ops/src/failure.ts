/** What went wrong: an exit code, and words that say what to do about it. */
import { EnvironmentError } from '@revos/core/config';
import { JobsApiError } from '@revos/jobs-client';
import { CommanderError } from 'commander';
import { EXIT, type ExitCode, InterruptedError, UnreachedError, UsageError } from './exit-codes.ts';
import { onOneLine } from './output/words.ts';

export interface Failure {
  readonly code: ExitCode;
  /** Null if it was said already. */
  readonly words: string | null;
}

export function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) {
    // Help and version that were asked for end this way too.
    return { code: error.exitCode === 0 ? EXIT.ok : EXIT.usage, words: null };
  }
  if (error instanceof UsageError) return { code: EXIT.usage, words: error.message };
  if (error instanceof EnvironmentError) {
    return {
      code: EXIT.usage,
      words: `${error.message}\nJOBS_API_URL may be given as --url; OPS_TOKEN may not.`,
    };
  }
  if (error instanceof InterruptedError) return { code: EXIT.interrupted, words: error.message };
  if (error instanceof UnreachedError) return { code: EXIT.unreached, words: error.message };
  if (error instanceof JobsApiError) return apiFailure(error);
  // An answer of 2xx that is no JSON: a page.
  if (error instanceof SyntaxError) {
    return { code: EXIT.unreached, words: 'What answers there is not the jobs API. Is the address right?' };
  }
  return {
    code: EXIT.bug,
    words: `This is a bug of ops: ${error instanceof Error ? error.stack : String(error)}`,
  };
}

function apiFailure(error: JobsApiError): Failure {
  const { kind, status } = error;
  if (kind === 'no-answer') return { code: EXIT.unreached, words: noAnswer(error) };
  if (kind === 'not-understood') {
    return { code: EXIT.unreached, words: `${error.title}. Is the address right, and is it up?` };
  }
  if (status === 401 || status === 403) {
    return {
      code: EXIT.unauthorized,
      words: `${refusal(error)}\nOPS_TOKEN must be one of the API’s OPS_TOKENS.`,
    };
  }
  return { code: status !== null && status < 500 ? EXIT.refused : EXIT.unreached, words: refusal(error) };
}

/** Codes of failures before a byte of the request has left. */
const NEVER_SENT: ReadonlySet<string | null> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function noAnswer({ detail }: JobsApiError): string {
  const what = `The jobs API does not answer${detail === null ? '' : ` (${detail})`}.`;
  if (NEVER_SENT.has(detail)) return `${what} Is the address right, and is it up?`;
  return `${what} A change that was asked for may have been made: look before you repeat it.`;
}

/** A refusal, with every field that is wrong and where the service's log has it. */
function refusal({ kind, status, code, title, detail, errors, requestId }: JobsApiError): string {
  const names = [String(status), kind, ...(code === null ? [] : [code])].join(', ');
  return [
    `${onOneLine(detail ?? title)} (${names})`,
    ...errors
      .filter(({ message }) => message !== detail)
      .map(({ field, message }) => `  ${onOneLine(field)}: ${onOneLine(message)}`),
    ...(requestId === null ? [] : [`  request ${onOneLine(requestId)}`]),
  ].join('\n');
}
