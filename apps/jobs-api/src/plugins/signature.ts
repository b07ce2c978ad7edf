/**
 * Signatures: the cron credential's requests must carry a valid Standard Webhooks signature over
 * the raw body. For the scope it is registered in, a JSON body is kept as the bytes it came as.
 *
 * A caller is told that a signature is missing or not fresh; all other failures look alike.
 */
import type { Effects } from '@revos/core/effects';
import {
  SignatureError,
  type SignatureErrorKind,
  type TriggerBody,
  verifyTrigger,
} from '@revos/core/signing';
import { isTraceparent } from '@revos/core/telemetry';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { HttpProblem, type ProblemKind } from '../problems.ts';
import { valuesOfHeader } from './auth.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The trigger that the signature vouches for; null for credentials that sign nothing. */
    signedTrigger: TriggerBody | null;
    /**
     * The span of who signed the trigger; undefined for all others. It is not signed itself, and
     * decides nothing: whoever could change it could give the run another trace.
     */
    traceparent: string | undefined;
  }
}

export interface SignatureOptions {
  /** `whsec_…`; any of them verifies. */
  readonly signingSecrets: readonly string[];
  readonly effects: Effects;
}

const HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;

const KIND_OF: Readonly<Record<SignatureErrorKind, ProblemKind>> = {
  missing: 'signature-missing',
  stale: 'signature-stale',
  malformed: 'signature-invalid',
  mismatch: 'signature-invalid',
};

export const signature = fp<SignatureOptions>(
  async (app: FastifyInstance, { signingSecrets, effects }) => {
    app.decorateRequest('signedTrigger', null);
    app.decorateRequest('traceparent', undefined);
    app.removeAllContentTypeParsers();
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    );

    app.addHook('preValidation', async (request) => {
      if (request.principal?.kind !== 'cron') return;
      try {
        request.signedTrigger = verifyTrigger(
          rawBodyOf(request),
          signatureHeaders(request),
          signingSecrets,
          effects.now(),
        );
        const [traceparent, ...others] = valuesOfHeader(request, 'traceparent');
        if (others.length === 0 && isTraceparent(traceparent)) request.traceparent = traceparent;
      } catch (error) {
        if (!(error instanceof SignatureError)) throw error;
        throw new HttpProblem(KIND_OF[error.kind], { warning: { signature: error.kind } });
      }
    });
  },
  { name: 'signature', dependencies: ['auth'] },
);

/** The bytes of the body; none if there was no body. */
export const rawBodyOf = (request: FastifyRequest): Buffer =>
  Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);

/** A header that stands there twice is passed on as two. */
const signatureHeaders = (request: FastifyRequest): Record<string, string | string[] | undefined> =>
  Object.fromEntries(
    HEADERS.map((name) => {
      const values = valuesOfHeader(request, name);
      return [name, values.length > 1 ? values : values[0]];
    }),
  );
