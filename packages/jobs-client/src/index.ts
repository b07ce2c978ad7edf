export { createJobsClient, type JobsClient, type JobsClientOptions } from './client.ts';
export { errorOf, type FieldProblem, JobsApiError, type JobsApiErrorFacts } from './problem.ts';
export type { components, operations, paths } from './schema.ts';
