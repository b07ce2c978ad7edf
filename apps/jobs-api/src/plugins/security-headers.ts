/**
 * Security headers: what a browser may do with an answer of this API, which is nothing at all.
 *
 * @fastify/helmet sets them. What is refused before there is a route, or a request, is out of its
 * reach, and gets `SECURITY_HEADERS`: the same, written out. The reference page has a policy of its
 * own.
 */
import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

export const SECURITY_HEADERS = {
  'content-security-policy': "default-src 'none';base-uri 'none';form-action 'none';frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'referrer-policy': 'no-referrer',
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'x-dns-prefetch-control': 'off',
  'x-download-options': 'noopen',
  'x-frame-options': 'DENY',
  'x-permitted-cross-domain-policies': 'none',
  'x-xss-protection': '0',
} as const;

const NONE = ["'none'"];

export const securityHeaders = fp(
  async (app: FastifyInstance) => {
    await app.register(helmet, {
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { defaultSrc: NONE, baseUri: NONE, formAction: NONE, frameAncestors: NONE },
      },
      // Two years, as the web app has it.
      strictTransportSecurity: { maxAge: 63_072_000 },
      xFrameOptions: { action: 'deny' },
    });
  },
  { name: 'security-headers' },
);
