/**
 * The Unipile sandbox: a world that behaves like LinkedIn behind Unipile's v1 API, and a server
 * that speaks it.
 */
export {
  AccountDeclaration,
  AccountStatus,
  IncomingMessage,
  PersonDeclaration,
  Relation,
} from './declarations.ts';
export { ApiError, type ErrorBody } from './errors.ts';
export type { Action, ActionKind, Fault, FaultReport, Match } from './faults.ts';
export type { RequestEntry } from './request-log.ts';
export { type Sandbox, type SandboxOptions, startSandbox } from './server.ts';
export { DeclarationError, type Problem } from './shape.ts';
export type { WebhookOptions } from './webhook-delivery.ts';
export type { Notification } from './wire/webhook-event.ts';
export type { Outcome } from './world/context.ts';
export type { Effect, EffectFilter } from './world/effect-log.ts';
export type { Answer, Body, Exchange } from './world/exchange.ts';
export type { Concurrency } from './world/in-flight.ts';
export type { InviteRequest } from './world/members.ts';
export type { Account, Attachment, Message, Person } from './world/model.ts';
export type { ListQuery } from './world/pages.ts';
export type { CreatePostRequest } from './world/posts.ts';
export type { SendMessageRequest, StartChatRequest } from './world/sending.ts';
export { createWorld, type World, type WorldApi, type WorldOptions } from './world/world.ts';
