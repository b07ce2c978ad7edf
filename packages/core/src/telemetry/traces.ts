/**
 * Traces: what a slot, its run and each of its calls took, told to a collector outside. A port; by
 * default nothing is traced, and a span is one that does nothing.
 */
import type { ErrorFacts } from './reports.ts';

/** All there are. Whoever reads a trace groups by them, so a name says what is done and not to what. */
export type SpanName =
  | 'slot'
  | 'trigger'
  | 'request'
  | 'start run'
  | 'slice'
  | 'claim'
  | 'call'
  | 'record'
  | 'look';

/** What a span may say: ids, words of closed lists, and counts. */
export interface SpanFacts extends Omit<ErrorFacts, 'route'> {
  /** Who asked for the run. */
  readonly trigger?: string;
  readonly outcome?: string | undefined;
  readonly reason?: string | undefined;
  readonly status?: string | undefined;
  readonly http_status?: number | null | undefined;
  /** Counted from 1. */
  readonly attempt?: number;
  /** Rows that were asked for, and that there were. */
  readonly asked?: number;
  readonly count?: number;
}

/** Nothing here throws. One that is never ended is never told. */
export interface Span {
  /** Whether anything of it, or of its children, is told. */
  readonly isRecorded: boolean;
  /**
   * Names it as the parent of a span of another process, as W3C Trace Context has it; undefined
   * where nothing is traced.
   */
  readonly traceparent: string | undefined;
  /** @param links spans that it has to do with besides its parent */
  child(name: SpanName, facts: SpanFacts, links?: readonly Span[]): Span;
  set(facts: SpanFacts): void;
  /**
   * It went wrong: told by the code of what was thrown, or its type. What is no error may have a
   * code as well.
   */
  fail(thrown: unknown): void;
  end(): void;
}

export interface Traces {
  /**
   * @param traceparent of the span that it is a child of; without one, or with one that is none, it
   * begins a trace
   */
  start(name: SpanName, facts: SpanFacts, traceparent?: string): Span;
  /** Waits until all that has ended is told, or for `timeoutMs` milliseconds. Never rejects. */
  flush(timeoutMs: number): Promise<void>;
}

export const NO_SPAN: Span = {
  isRecorded: false,
  traceparent: undefined,
  child: () => NO_SPAN,
  set: () => {},
  fail: () => {},
  end: () => {},
};

export const NO_TRACES: Traces = { start: () => NO_SPAN, flush: async () => {} };

/** Version 0, neither id all zeros, and no flag but the one for sampled. */
const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]$/;

export function isTraceparent(value: unknown): value is string {
  return typeof value === 'string' && TRACEPARENT.test(value);
}

/** Does the work, and ends the span with it. */
export async function inSpan<Result>(span: Span, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    span.fail(error);
    throw error;
  } finally {
    span.end();
  }
}
