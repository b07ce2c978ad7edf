/** A good request for every operation that the OpenAPI document has. */
import { openApiDocument } from '../../src/openapi-document.ts';

export interface OperationRequest {
  readonly operationId: string;
  readonly method: 'GET' | 'POST' | 'PATCH';
  readonly url: string;
  readonly body?: object;
}

const ID = '00000000-0000-4000-8000-000000000000';
const RANGE = 'from=2026-03-01&to=2026-03-02';

/** What it needs beyond its path: a query, a body. A new operation is added here, or its tests fail. */
const EXAMPLES: Readonly<Record<string, { query?: string; body?: object }>> = {
  listJobs: {},
  startRun: { body: {} },
  checkTrigger: {
    body: { job: 'trigger-check', scheduled_for: '2026-03-01T09:30:00.000Z', trigger: 'vercel-cron' },
  },
  listRuns: {},
  getRun: {},
  watchRun: {},
  cancelRun: { body: {} },
  enqueueMessages: {
    body: { messages: [{ linkedin_account_id: ID, recipient_id: 'ACo1', message: 'Hello' }] },
  },
  listMessages: {},
  getMessage: {},
  explainMessage: {},
  actOnMessages: { body: { action: 'cancel', selection: { ids: [ID] } } },
  listPosts: {},
  getPost: {},
  explainPost: {},
  setPostOptions: { body: { external_link: null } },
  actOnPosts: { body: { action: 'cancel', selection: { ids: [ID] } } },
  listAccounts: {},
  getAccount: {},
  setAccountPolicy: { body: { dms_per_day: 5 } },
  pauseAccount: { body: { reason: 'holiday' } },
  resumeAccount: { body: {} },
  getVerdict: {},
  getSending: {},
  pauseSending: { body: { reason: 'holiday' } },
  resumeSending: { body: {} },
  markRestore: { body: { to: '2026-11-01T03:00:00Z', dry_run: true } },
  listDailyAnalytics: {},
  getAnalyticsSummary: { query: RANGE },
  getPlatformAnalytics: {},
  listAlerts: {},
  listAudit: {},
  getOpenApi: {},
};

/** Every operation under /api, with a request that its validation takes. */
export async function everyOperation(): Promise<OperationRequest[]> {
  const { paths } = (await openApiDocument()) as {
    paths: Record<string, Record<string, { operationId: string }>>;
  };
  return Object.entries(paths)
    .filter(([path]) => path.startsWith('/api/'))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { operationId }]) => {
        const example = EXAMPLES[operationId];
        if (example === undefined) throw new Error(`${operationId} has no example`);
        const url = path.replace('{job}', 'quick').replace('{id}', ID);
        return {
          operationId,
          method: method.toUpperCase() as OperationRequest['method'],
          url: example.query === undefined ? url : `${url}?${example.query}`,
          ...(example.body === undefined ? {} : { body: example.body }),
        };
      }),
    );
}
