/**
 * The OpenAPI document, made from the schemas of the routes, so that it says what they do.
 *
 * Schemas with an `$id` become components under that name. The document says nothing of the deployment: it is
 * the same wherever it is made, and stands in the repository as `openapi.json`.
 */
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import manifest from '../../package.json' with { type: 'json' };
import { METRICS_PATH } from '../metrics/port.ts';
import { withComponents, withTitles } from '../openapi-components.ts';

const DESCRIPTION = `Background jobs of RevOS: LinkedIn messages and posts, and what operators see and do of them.

Lists answer \`{items, next_cursor}\`; the next page is asked for with \`cursor\`. A filter that may have several
values is repeated (\`status=failed&status=unknown\`). What a request says is taken as it is, or refused: unknown
fields and parameters are. Instants are ISO 8601. Refusals are \`application/problem+json\` (RFC 9457); one that is
for asking too often says in \`retry-after\` when to come back.`;

/** Where the document is shown as a page. What is there does not stand in the document. */
export const REFERENCE_PATH = '/docs';

/** Where the queue in Redis is shown as a page; the same holds for it. */
export const BOARD_PATH = '/queues';

/** For people and machines that read no document; so is what Prometheus scrapes. */
const isPage = (url: string): boolean =>
  [REFERENCE_PATH, BOARD_PATH, METRICS_PATH].some((page) => url === page || url.startsWith(`${page}/`));

const TAGS = [
  { name: 'jobs', description: 'What runs, and when.' },
  { name: 'runs', description: 'One execution of a job, from its trigger to its end.' },
  { name: 'messages', description: 'LinkedIn messages of the queue.' },
  { name: 'posts', description: 'LinkedIn posts and their publication.' },
  { name: 'accounts', description: 'LinkedIn accounts: their limits, pace, window and pauses.' },
  { name: 'sending', description: 'The pause of all sending.' },
  { name: 'analytics', description: 'Platform-wide figures.' },
  { name: 'audit', description: 'What people did.' },
  { name: 'health', description: 'Whether the service lives, and can do its work.' },
  { name: 'reference', description: 'This document.' },
];

export const openapi = fp(
  async (app: FastifyInstance) => {
    app.addHook('onRoute', ({ schema }) => {
      if (schema?.response !== undefined) schema.response = withTitles(schema.response);
    });
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'RevOS jobs API', version: manifest.version, description: DESCRIPTION },
        tags: TAGS,
        components: {
          securitySchemes: {
            ops: {
              type: 'http',
              scheme: 'bearer',
              description: 'An ops token. Its name stands in the audit trail of whatever it does.',
            },
            cron: {
              type: 'http',
              scheme: 'bearer',
              description:
                'The cron token. It may start a job’s slot and nothing else, and only with a Standard Webhooks signature over the body: `webhook-id` (the slot), `webhook-timestamp` (five minutes’ tolerance) and `webhook-signature`.',
            },
          },
        },
        security: [{ ops: [] }],
      },
      transform: ({ schema, url }) => {
        if (isPage(url)) return { schema: { hide: true }, url };
        if (schema?.operationId === undefined) throw new Error(`${url} does not say what it is`);
        return { schema: withTitles(schema), url };
      },
      transformObject: (made) =>
        'openapiObject' in made ? withComponents(made.openapiObject) : made.swaggerObject,
    });
  },
  { name: 'openapi' },
);
