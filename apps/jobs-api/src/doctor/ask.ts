/**
 * One request over HTTP, of which a doctor tells the status and no word of the body that it does
 * not know.
 */
import { type Effects, withTimeout } from '@revos/core/effects';
import { socketCodeOf } from '@revos/core/telemetry';

/** In milliseconds: below what a check may take as a whole. */
const ASK_MS_MAX = 8_000;

/** Answers are small; of a larger one nothing is believed. */
const ANSWER_CHARS_MAX = 4_000_000;

export type Asked =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** Undefined if it is no JSON. */
      readonly body: unknown;
      /**
       * How far the server's clock is before ours, in milliseconds, to half a second; null if it
       * does not say.
       */
      readonly aheadMs: number | null;
    }
  /** Its code is a socket's, `TIMEOUT` or `NO_ANSWER`. */
  | { readonly kind: 'no_answer'; readonly code: string };

export async function ask(url: string, init: RequestInit, effects: Effects): Promise<Asked> {
  try {
    return await withTimeout(effects, ASK_MS_MAX, async (signal) => {
      const askedAt = effects.now().getTime();
      // A redirect would take a secret elsewhere.
      const response = await fetch(url, { ...init, redirect: 'manual', signal });
      const ours = (askedAt + effects.now().getTime()) / 2;
      const date = Date.parse(response.headers.get('date') ?? '');
      const text = await response.text();
      return {
        kind: 'answer' as const,
        status: response.status,
        body: text.length > ANSWER_CHARS_MAX ? undefined : parsed(text),
        // The header has whole seconds.
        aheadMs: Number.isNaN(date) ? null : date + 500 - ours,
      };
    });
  } catch (error) {
    return { kind: 'no_answer', code: socketCodeOf(error) };
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
