/** An error as Sentry has it: made of its record, which says nothing that the error was given. */
import type { AlertReport, ErrorFacts, ErrorRecord } from '@revos/core/telemetry';
import type { Event, StackFrame } from '@sentry/core';

/**
 * @param frames the last call at the end, as Sentry has them
 * @param facts told as tags
 */
export function eventOf(
  record: ErrorRecord,
  frames: readonly StackFrame[],
  facts: ErrorFacts & { readonly process: string },
  level: 'error' | 'fatal',
): Event {
  const { type, message, code, kind, cause } = record;
  const tags = { ...facts, code, kind, cause: cause?.code ?? cause?.type };
  return {
    level,
    exception: {
      values: [
        {
          ...{ type, value: message, stacktrace: { frames: frames.map(shown) } },
          mechanism: { type: 'generic', handled: level !== 'fatal' },
        },
      ],
    },
    tags: Object.fromEntries(
      Object.entries(tags)
        .filter(([, value]) => value !== undefined && value !== null)
        .map(([name, value]) => [name, String(value)]),
    ),
  };
}

/** An alert: its name and no more. All of a name are one issue, whichever of them began or ended. */
export function alertEventOf({ code, event }: AlertReport, process: string): Event {
  return {
    level: event === 'opened' ? 'error' : 'info',
    message: `Alert ${event}: ${code}`,
    fingerprint: ['alert', code],
    tags: { process, alert: code },
  };
}

/** Where the project stands on the machine says nothing, and differs between machines. */
const BEFORE_PROJECT = /^.*?\/(?=(?:apps|packages|node_modules)\/)/;

function shown(frame: StackFrame): StackFrame {
  const filename = frame.filename?.replace(BEFORE_PROJECT, '');
  return { ...frame, ...(filename === undefined ? {} : { filename }) };
}
