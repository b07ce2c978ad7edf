/** `/docs`: the OpenAPI document as a page, for whoever has an ops token. All of it is served from here. */
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyPluginAsync } from 'fastify';
import type { AuthOptions } from './auth.ts';
import { basicAuth } from './basic-auth.ts';
import { REFERENCE_PATH } from './openapi.ts';

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

/**
 * Registered as a scope: the credential is asked for before every file of it, the styles and icons
 * as well.
 */
export const referencePage: FastifyPluginAsync<Pick<AuthOptions, 'opsTokens'>> = async (
  app,
  { opsTokens },
) => {
  app.addHook('onRequest', basicAuth({ opsTokens }));
  await app.register(swaggerUi, {
    routePrefix: REFERENCE_PATH,
    staticCSP: CONTENT_SECURITY_POLICY,
    uiConfig: { deepLinking: true, displayRequestDuration: true, persistAuthorization: false },
  });
};
