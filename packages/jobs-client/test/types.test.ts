import type { JobsClient } from '@revos/jobs-client';
import { expectTypeOf, it } from 'vitest';

type Answer<Call extends (client: JobsClient) => Promise<unknown>> = Awaited<ReturnType<Call>>;

it('gives paths, parameters and answers their types', () => {
  const getRun = (client: JobsClient) => client.get('/api/runs/{id}', { params: { path: { id: 'an id' } } });
  expectTypeOf<Answer<typeof getRun>['status']>().toEqualTypeOf<
    'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled' | 'interrupted'
  >();

  const list = (client: JobsClient) =>
    client.get('/api/messages', { params: { query: { status: ['failed'] } } });
  expectTypeOf<Answer<typeof list>['items'][number]['sent_at']>().toEqualTypeOf<string | null>();

  const start = (client: JobsClient) =>
    client.post('/api/jobs/{job}', { params: { path: { job: 'dm-queue' } }, body: { dry_run: true } });
  expectTypeOf<Answer<typeof start>['outcome']>().toEqualTypeOf<'created' | 'exists' | 'coalesced'>();

  const status = (client: JobsClient) => client.get('/api/sending');
  expectTypeOf<Answer<typeof status>['paused']>().toEqualTypeOf<boolean>();
});

it('refuses what the document does not have', () => {
  (client: JobsClient) => [
    // @ts-expect-error no such path
    client.get('/api/run'),
    // @ts-expect-error no such method
    client.post('/api/audit'),
    // @ts-expect-error no such parameter
    client.get('/api/messages', { params: { query: { colour: 'red' } } }),
    // @ts-expect-error no such status
    client.get('/api/messages', { params: { query: { status: ['late'] } } }),
    // @ts-expect-error the id is missing
    client.get('/api/runs/{id}'),
    // @ts-expect-error the reason is missing
    client.post('/api/sending/pause', { body: {} }),
  ];
});
