/** Fastify with one route and nothing else: what an answer costs at the least. */
import { type FastifyInstance, fastify } from 'fastify';

/** Answers every `POST /api/jobs/:job` with `answer`. */
export function createBareApp(answer: object): FastifyInstance {
  const app = fastify();
  app.post('/api/jobs/:job', async () => answer);
  return app;
}
