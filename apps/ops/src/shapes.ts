/** The shapes of the API that this program shows and sends, by their names in its document. */
import type { components, operations } from '@revos/jobs-client';

type Schemas = components['schemas'];

export type Account = Schemas['Account'];
export type AccountDetail = Schemas['AccountDetail'];
export type ActionResult = Schemas['ActionResult'];
export type Alert = Schemas['Alert'];
export type AuditEntry = Schemas['AuditEntry'];
export type DailyRow = Schemas['DailyRow'];
export type Finding = Schemas['Finding'];
export type Job = Schemas['Job'];
export type Message = Schemas['Message'];
export type MessageDetail = Schemas['MessageDetail'];
export type Platform = Answer<'getPlatformAnalytics'>;
export type Policy = Schemas['Policy'];
export type Post = Schemas['Post'];
export type PostDetail = Schemas['PostDetail'];
export type PostOptions = Schemas['PostOptions'];
export type Restore = Schemas['Restore'];
export type Run = Schemas['Run'];
export type RunStatus = Schemas['RunStatus'];
export type Sending = Schemas['Sending'];

export type Verdict = Schemas['Verdict'];

export type Summary = Answer<'getAnalyticsSummary'>;

/** A page of a list. */
export interface PageOf<Item> {
  readonly items: readonly Item[];
  /** Null on the last page. */
  readonly next_cursor: string | null;
}

type Query<Name extends keyof operations> = operations[Name] extends { parameters: { query?: infer Asked } }
  ? NonNullable<Asked>
  : never;

type Body<Name extends keyof operations> = operations[Name] extends {
  requestBody?: { content: { 'application/json': infer Sent } };
}
  ? Sent
  : never;

type Answer<Name extends keyof operations> = operations[Name] extends {
  responses: { 200: { content: { 'application/json': infer Answered } } };
}
  ? Answered
  : never;

export type Paging = 'limit' | 'cursor';

export type RunQuery = Query<'listRuns'>;
export type MessageQuery = Query<'listMessages'>;
export type PostQuery = Query<'listPosts'>;
export type AccountQuery = Query<'listAccounts'>;
export type AlertQuery = Query<'listAlerts'>;
export type AuditQuery = Query<'listAudit'>;
export type DailyQuery = Query<'listDailyAnalytics'>;
export type SummaryQuery = Query<'getAnalyticsSummary'>;

export type StartRun = Body<'startRun'>;
export type MessageAction = Body<'actOnMessages'>;
export type PostAction = Body<'actOnPosts'>;
export type EnqueueMessages = Body<'enqueueMessages'>;
export type PolicyPatch = Body<'setAccountPolicy'>;
export type PostOptionsPatch = Body<'setPostOptions'>;
