/** The pause of all sending, and the audit trail: the shapes of `sending_status` and `audit_list`. */
import Type, { type Static } from 'typebox';
import { AnyOf, GivenInstant, Instant, Nullable } from '../shapes/index.ts';

export const Sending = Type.Object(
  {
    paused: Type.Boolean(),
    reason: Nullable(Type.String()),
    paused_at: Nullable(Instant),
    paused_until: Type.Union([Instant, Type.Null()], {
      description: 'Null while paused: until somebody resumes it.',
    }),
    paused_by: Nullable(Type.String()),
    due: Type.Integer({
      minimum: 0,
      description: 'Messages whose time has come, which a pause holds and a resume releases; up to 100,000.',
    }),
  },
  { $id: 'Sending' },
);
export type Sending = Static<typeof Sending>;

export const PauseRequest = Type.Object(
  {
    reason: Type.String({ minLength: 1, maxLength: 200, pattern: '\\S' }),
    until: Type.Optional(
      Type.Union([GivenInstant, Type.Null()], { description: 'Without it: until somebody resumes it.' }),
    ),
  },
  { additionalProperties: false },
);
export type PauseRequest = Static<typeof PauseRequest>;

export const AuditEntry = Type.Object(
  {
    id: Type.Integer(),
    at: Instant,
    actor: Type.String({ description: 'The name of the ops token.' }),
    action: Type.String({ description: '`subject.verb`, such as account.pause.' }),
    subject: Nullable(Type.String()),
    params: Type.Object(
      {},
      {
        additionalProperties: true,
        description:
          'What was asked for, and what came of it. Of a long list: `{count, sample}`, the first 20 of it.',
      },
    ),
  },
  { $id: 'AuditEntry' },
);
export type AuditEntry = Static<typeof AuditEntry>;

export const AuditFilter = Type.Object(
  {
    actor: Type.Optional(AnyOf(Type.String({ minLength: 1, maxLength: 100 }))),
    action: Type.Optional(AnyOf(Type.String({ minLength: 1, maxLength: 64 }))),
    subject: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
    from: Type.Optional(GivenInstant),
    to: Type.Optional(GivenInstant),
  },
  { additionalProperties: false },
);
export type AuditFilter = Static<typeof AuditFilter>;
