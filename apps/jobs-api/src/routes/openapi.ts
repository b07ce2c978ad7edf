/** The OpenAPI document of this API. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import { commonErrors } from '../schemas/problem.ts';

export const openapiRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/openapi.json',
    {
      schema: {
        operationId: 'getOpenApi',
        description: 'This document, as OpenAPI 3.1. As a page it is at `/docs`.',
        tags: ['reference'],
        response: { 200: Type.Object({}, { additionalProperties: true }), ...commonErrors },
      },
    },
    async () => app.swagger(),
  );
};
