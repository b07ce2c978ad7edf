/** `/docs`: the OpenAPI document as a page, for whoever has an ops token. All of it is served from here. */
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import type { AuthOptions } from './auth.ts';
import { basicAuth } from './basic-auth.ts';

/** Its styles are written into the page by its script; its scripts are files. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "img-src 'self' data:",
  "object-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
].join('; ');

export const referencePage = fp<Pick<AuthOptions, 'opsTokens'>>(
  async (app: FastifyInstance, { opsTokens }) => {
    await app.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: CONTENT_SECURITY_POLICY,
      uiHooks: { onRequest: basicAuth({ opsTokens }) },
      uiConfig: { deepLinking: true, displayRequestDuration: true, persistAuthorization: false },
    });
  },
  { name: 'reference-page', dependencies: ['openapi'] },
);
